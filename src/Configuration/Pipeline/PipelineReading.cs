using System.Globalization;
using System.Net;
using System.Net.Sockets;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Configuration.Yaml;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the whole file, and the parts that belong to no source, sink or route.</summary>
internal static class PipelineReading
{
    /// <summary>Reads everything. The result can be used only when there are no errors.</summary>
    /// <param name="findings">Takes errors and warnings.</param>
    /// <param name="root">Root of the file.</param>
    /// <param name="sinkTypes">The types of sinks; null when only their names are needed.</param>
    /// <param name="folder">Folder for relative paths.</param>
    public static PipelineConfiguration? Read(Findings findings, Node root, IReadOnlyList<ISinkType>? sinkTypes, string folder)
    {
        if (new Value(findings, root, "", root.Place).AsSection("cluster", "control", "sources", "sinks", "routes", "gateway") is not { } file)
            return null;
        var cluster = Cluster(file.Require("cluster", "write 'cluster: { id: … }'")?.AsSection("id", "address", "silo_port", "client_port", "entity_cache"));
        var control = Control(file.Require("control", "write 'control: { connection: … }'")?.AsSection("connection", "checkpoint", "retention"));
        var sources = SourceReading.All(file.Require("sources", "name at least one captured database")?.AsNames());
        var sinks = SinkReading.All(file.Require("sinks", "name at least one destination")?.AsNames(), sinkTypes, folder);
        var routes = RouteReading.All(file.Require("routes", "send at least one table to a sink, such as - { from: \"shop.*\", to: events }"), sources, sinks, findings);
        var gateway = Gateway(file.Find("gateway")?.AsSection("listen"));
        if (cluster is null || control is null || sources is null || sinks is null || routes is null || gateway is null)
            return null;
        return new PipelineConfiguration
        {
            Cluster = cluster,
            Control = control,
            Sources = sources.Where(s => s.Configuration is not null).ToDictionary(s => s.Name, s => s.Configuration!),
            Sinks = sinks.Where(s => s.Configuration is not null).ToDictionary(s => s.Name, s => s.Configuration!),
            Routes = routes,
            Gateway = gateway,
        };
    }

    /// <summary>Whether a name of a source or sink can be used in routes, topics and paths without quoting.</summary>
    public static bool IsName(string name) => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    private static ClusterConfiguration? Cluster(Section? cluster)
    {
        if (cluster is null)
            return null;
        var id = cluster.Require("id", "silos with one id and one control database form a cluster; write for example 'id: shop'");
        if (id?.AsText() is { } text && (text.Length > 63 || !text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')))
            id.Refuse($"{id.Shown} is not a cluster id; write 1 to 63 characters of a-z, 0-9 and '-'");
        var defaults = new ClusterConfiguration { Id = id?.AsText() ?? "" };
        var siloPort = cluster.Find("silo_port");
        var clientPort = cluster.Find("client_port");
        var read = defaults with
        {
            Address = Address(cluster.Find("address")) ?? defaults.Address,
            SiloPort = siloPort?.AsInteger(0, 65535) ?? defaults.SiloPort,
            ClientPort = clientPort?.AsInteger(0, 65535) ?? defaults.ClientPort,
            EntityCacheBytes = cluster.Find("entity_cache")?.AsSize(1L << 20, 1L << 40) ?? defaults.EntityCacheBytes,
        };
        if (read.SiloPort == read.ClientPort && read.SiloPort != 0)
        {
            (clientPort ?? siloPort)?.Refuse(string.Create(
                CultureInfo.InvariantCulture,
                $"{(clientPort ?? siloPort)!.Shown} is both silo_port (default {defaults.SiloPort}) and client_port (default {defaults.ClientPort}); give them different ports"));
        }

        return read;
    }

    private static string? Address(Value? value)
    {
        if (value?.AsText() is not { } text)
            return null;
        // The parser accepts "1" and "127.1" as addresses, but they are almost certainly mistakes.
        if (!IPAddress.TryParse(text, out var address) || (address.AddressFamily == AddressFamily.InterNetwork && text.Count(c => c == '.') != 3))
            value.Refuse($"{value.Shown} is not an IP address; write the address the other silos reach this one at, such as 10.0.0.5");
        else if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
            value.Refuse($"{value.Shown} is no address that others can reach; write this machine's own, such as 10.0.0.5");
        else
            return text;
        return null;
    }

    private static ControlConfiguration? Control(Section? control)
    {
        if (control is null)
            return null;
        var connection = control.Require("connection", $"write for example 'connection: {ConnectionText.Example}'");
        ConnectionText.Check(connection);
        var checkpoint = control.Find("checkpoint")?.AsSection("interval", "bytes");
        var retention = control.Find("retention")?.AsSection("delete_markers", "dead_letters", "audit");
        var defaults = new ControlConfiguration { Connection = connection?.AsText() ?? "" };
        return defaults with
        {
            DeleteMarkerRetention = Age(retention?.Find("delete_markers")) ?? defaults.DeleteMarkerRetention,
            DeadLetterRetention = Age(retention?.Find("dead_letters")) ?? defaults.DeadLetterRetention,
            AuditRetention = Age(retention?.Find("audit")) ?? defaults.AuditRetention,
            CheckpointInterval = checkpoint?.Find("interval")?.AsDuration(TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(10)) ?? defaults.CheckpointInterval,
            CheckpointBytes = checkpoint?.Find("bytes")?.AsSize(64L << 10, 1L << 30) ?? defaults.CheckpointBytes,
        };
    }

    private static TimeSpan? Age(Value? value) => value?.AsDuration(TimeSpan.FromHours(1), TimeSpan.FromDays(3650), orZero: "no end");

    private static GatewayConfiguration Gateway(Section? gateway)
    {
        var defaults = new GatewayConfiguration();
        if (gateway?.Find("listen") is not { } listen || listen.AsText() is not { } text)
            return defaults;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
            || uri.UserInfo.Length > 0 || uri.PathAndQuery != "/" || uri.Fragment.Length > 0)
        {
            // The value is not shown: it may contain a password.
            listen.Refuse("is not an address to listen at; write http or https, a host and a port, such as http://127.0.0.1:8080");
            return defaults;
        }

        if (!uri.IsLoopback)
            listen.Refuse($"{listen.Shown} can be reached from other machines, and this version has no authentication yet: listen on 127.0.0.1 or ::1");
        return new GatewayConfiguration { Listen = uri };
    }
}
