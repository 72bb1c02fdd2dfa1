namespace CdcOrleans.Bench.EndToEnd;

/// <summary>What the command line asks for.</summary>
internal sealed record BenchmarkOptions
{
    public required IReadOnlySet<string> Consumers { get; init; }

    public required IReadOnlySet<string> Workloads { get; init; }

    /// <summary>Changes of a round; null takes each workload's own.</summary>
    public long? Changes { get; init; }

    public required long Keys { get; init; }

    public required int Rounds { get; init; }

    public required int WarmRounds { get; init; }

    public required int LatencySeconds { get; init; }

    public required int LatencyRate { get; init; }

    public required int EnduranceMinutes { get; init; }

    public required string DataFolder { get; init; }

    public required string Product { get; init; }

    /// <summary>When the product's entities wake; null leaves it to the product.</summary>
    public string? Activation { get; init; }

    public string? KafkaHome { get; init; }

    public string? ConnectPlugins { get; init; }

    public required string ConnectHeap { get; init; }
}
