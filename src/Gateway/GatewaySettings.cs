using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway;

/// <summary>What the gateway needs of the configuration, and its own limits.</summary>
internal sealed class GatewaySettings(PipelineConfiguration configuration)
{
    /// <summary>The cluster it speaks for.</summary>
    public string ClusterId { get; } = configuration.Cluster.Id;

    /// <summary>Where it listens.</summary>
    public Uri Listen { get; } = configuration.Gateway.Listen;

    /// <summary>The sources, by name.</summary>
    public IReadOnlyList<SourceConfiguration> Sources { get; } =
        [.. configuration.Sources.Values.OrderBy(s => s.Name, StringComparer.Ordinal)];

    /// <summary>Longest wait for an answer of the cluster. Default 5 s.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Time between reads of the sources' figures for <c>/metrics</c>. Default 3 s.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>A source by name; null when there is none.</summary>
    public SourceConfiguration? Source(string name) => Sources.FirstOrDefault(s => s.Name == name);
}
