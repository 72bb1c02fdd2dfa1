using CdcOrleans.Model.Retries;

namespace CdcOrleans.Model.Configuration;

/// <summary>What happens with later events of an entity after one of its events became a dead letter.</summary>
public enum PoisonPolicy
{
    /// <summary>They go on.</summary>
    Continue,

    /// <summary>They are parked until a person decides about the dead letter.</summary>
    Block,
}

/// <summary>What happens with events while a whole sink, or one of its destinations, is out of reach.</summary>
public enum OutagePolicy
{
    /// <summary>They are parked, so that the log of the source is not kept for them.</summary>
    Spill,

    /// <summary>They wait. When the window is full, the source holds.</summary>
    Hold,
}

/// <summary>How the events of a route are delivered to a sink that does not accept them at once.</summary>
public sealed record DeliveryPolicy
{
    /// <summary>The policy of a route without <c>delivery</c>.</summary>
    public static readonly DeliveryPolicy Default = new();

    /// <summary>How long an event is tried in place before it is parked. Default 2 s, 0 to 5 m.</summary>
    public TimeSpan Inline { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Times between attempts of a parked event, with full jitter. Default 1 s, doubled up to 10 m.</summary>
    public RetryPolicy Backoff { get; init; } = new(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10), Jitter: 1);

    /// <summary>Attempts after which an event becomes a dead letter; null for no limit, the default.</summary>
    public int? GiveUpAttempts { get; init; }

    /// <summary>Age after which an event becomes a dead letter, from its first attempt; null for no limit, the default.</summary>
    public TimeSpan? GiveUpAge { get; init; }

    /// <summary>What happens with later events of an entity after a dead letter. Default: they go on.</summary>
    public PoisonPolicy Poison { get; init; } = PoisonPolicy.Continue;

    /// <summary>What happens with events while the sink is out of reach. Default: they are parked.</summary>
    public OutagePolicy Outage { get; init; } = OutagePolicy.Spill;

    /// <summary>
    /// Limit of the parked events of a sink in bytes, over all silos. Beyond it events wait, and the source holds. Default 1 GiB.
    /// </summary>
    public long SpillBytes { get; init; } = 1L << 30;
}
