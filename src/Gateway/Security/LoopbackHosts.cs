using CdcOrleans.Gateway.Api;
using Microsoft.Extensions.Primitives;

namespace CdcOrleans.Gateway.Security;

/// <summary>
/// Answers only requests whose <c>Host</c> is a loopback name. A web page could point its own name at 127.0.0.1 (DNS rebinding), but then
/// requests have that name.
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
