using CdcOrleans.Gateway.Api;
using Microsoft.Extensions.Primitives;

namespace CdcOrleans.Gateway.Security;

/// <summary>
/// Answers only requests that name this machine as loopback: a web page whose own name was pointed at 127.0.0.1 (DNS rebinding)
/// sends that name.
/// </summary>
internal sealed class LoopbackHosts(RequestDelegate next, GatewaySettings settings)
{
    private readonly StringSegment[] _names = ["localhost", "127.0.0.1", "[::1]", settings.Listen.Host];

    public Task Invoke(HttpContext context)
    {
        var host = context.Request.Host.Host;
        return HostString.MatchesAny(host, _names)
            ? next(context)
            : Problem.HostNotAllowed(host).ExecuteAsync(context);
    }
}
