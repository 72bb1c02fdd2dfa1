using System.Net;
using System.Net.Sockets;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>Addresses that are not of the public internet: a webhook must not reach them unless that is allowed.</summary>
internal static class PrivateNetworks
{
    private static readonly IPNetwork[] V4 =
    [
        IPNetwork.Parse("0.0.0.0/8"), // this network
        IPNetwork.Parse("10.0.0.0/8"), // private
        IPNetwork.Parse("100.64.0.0/10"), // shared by providers (CGNAT)
        IPNetwork.Parse("127.0.0.0/8"), // this machine
        IPNetwork.Parse("168.63.129.16/32"), // the platform in Azure
        IPNetwork.Parse("169.254.0.0/16"), // the link, and metadata of clouds
        IPNetwork.Parse("172.16.0.0/12"), // private
        IPNetwork.Parse("192.0.0.0/24"), // protocols
        IPNetwork.Parse("192.0.2.0/24"), // documentation
        IPNetwork.Parse("192.168.0.0/16"), // private
        IPNetwork.Parse("198.18.0.0/15"), // benchmarks
        IPNetwork.Parse("198.51.100.0/24"), // documentation
        IPNetwork.Parse("203.0.113.0/24"), // documentation
        IPNetwork.Parse("224.0.0.0/4"), // multicast
        IPNetwork.Parse("240.0.0.0/4"), // reserved, and broadcast
    ];

    // Only 2000::/3 is given out to the internet; these are parts of it.
    private static readonly IPNetwork Internet = IPNetwork.Parse("2000::/3");

    private static readonly IPNetwork[] V6 =
    [
        IPNetwork.Parse("2001::/23"), // protocols, and Teredo
        IPNetwork.Parse("2001:db8::/32"), // documentation
        IPNetwork.Parse("3fff::/20"), // documentation
    ];

    private static readonly IPNetwork Translated = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork SixToFour = IPNetwork.Parse("2002::/16");

    /// <summary>Whether an address is private. An address that contains an IPv4 address is judged by that one.</summary>
    public static bool Contain(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return V4.Any(n => n.Contains(address));
        if (address.IsIPv4MappedToIPv6)
            return Contain(address.MapToIPv4());
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        address = new IPAddress(bytes);
        if (Translated.Contains(address))
            return Contain(new IPAddress(bytes[12..]));
        if (SixToFour.Contains(address))
            return Contain(new IPAddress(bytes[2..6]));
        return !Internet.Contains(address) || V6.Any(n => n.Contains(address));
    }
}
