using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway;

/// <summary>The part of the configuration that the gateway needs, and its own limits.</summary>
internal sealed class GatewaySettings(PipelineConfiguration configuration)
{
    /// <summary>Id of the cluster.</summary>
    public string ClusterId { get; } = configuration.Cluster.Id;

    /// <summary>Address to listen at.</summary>
    public Uri Listen { get; } = configuration.Gateway.Listen;

    /// <summary>The sources, by name.</summary>
    public IReadOnlyList<SourceConfiguration> Sources { get; } =
        [.. configuration.Sources.Values.OrderBy(s => s.Name, StringComparer.Ordinal)];

    /// <summary>Names of the sinks.</summary>
    public IReadOnlyCollection<string> Sinks { get; } = [.. configuration.Sinks.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Time limit for a decision of the cluster, which may concern many partitions. Default 40 s.</summary>
    public TimeSpan DecisionTimeout { get; set; } = TimeSpan.FromSeconds(40);

    /// <summary>Time limit for an answer of the cluster. Default 5 s.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Time between two reads of the sources' statuses for <c>/metrics</c>. Default 3 s.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Finds a source by name; null when there is none.</summary>
    public SourceConfiguration? Source(string name) => Sources.FirstOrDefault(s => s.Name == name);
}
