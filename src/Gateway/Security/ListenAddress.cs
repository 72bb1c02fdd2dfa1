using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace CdcOrleans.Gateway.Security;

/// <summary>The address the gateway listens at: loopback only, since it has no authentication.</summary>
internal static class ListenAddress
{
    /// <summary>Returns what is wrong with an address; null when nothing is.</summary>
    public static string? Finding(Uri listen)
    {
        // The address without user and password: they do not belong there, but could be there.
        var text = listen.IsAbsoluteUri ? listen.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped) : listen.OriginalString;
        if (!listen.IsAbsoluteUri || listen.Scheme != Uri.UriSchemeHttp)
            return $"gateway.listen: '{text}' is not an http address; write it as http://127.0.0.1:8080.";
        if (listen.AbsolutePath != "/" || listen.Query.Length > 0 || listen.UserInfo.Length > 0)
            return $"gateway.listen: '{text}' must be scheme, host and port only, without path or user; write it as http://127.0.0.1:8080.";
        return IsLocalhost(listen) || LoopbackAddress(listen) is not null
            ? null
            : $"gateway.listen: '{listen.Host}' is not a loopback address. The gateway has no authentication and would show row data to "
              + "the network; listen at http://127.0.0.1:8080 and put an authenticating proxy or an SSH tunnel in front of it.";
    }

    /// <summary>Makes Kestrel listen at the address.</summary>
    /// <exception cref="InvalidOperationException">The address is not loopback.</exception>
    public static void Bind(KestrelServerOptions kestrel, Uri listen)
    {
        if (Finding(listen) is { } finding)
            throw new InvalidOperationException(finding);
        if (IsLocalhost(listen))
            kestrel.ListenLocalhost(listen.Port);
        else
            kestrel.Listen(LoopbackAddress(listen)!, listen.Port);
    }

    /// <summary>
    /// Returns a message when another program already listens at the address; null otherwise. It is called before the host starts, because
    /// the host would report it only after it is connected to the cluster.
    /// </summary>
    public static string? Taken(Uri listen)
    {
        using var probe = new TcpListener(LoopbackAddress(listen) ?? IPAddress.Loopback, listen.Port);
        try
        {
            probe.Start();
            return null;
        }
        catch (SocketException e)
        {
            return $"gateway.listen: the gateway cannot listen at {listen}: {e.Message}. Stop the program that uses the port, or choose another port.";
        }
    }

    // localhost stands for both address families. Names are never resolved, because the answer of a resolver may change.
    private static bool IsLocalhost(Uri listen) => listen.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase);

    private static IPAddress? LoopbackAddress(Uri listen) =>
        IPAddress.TryParse(listen.Host, out var address) && IPAddress.IsLoopback(address) ? address : null;
}
