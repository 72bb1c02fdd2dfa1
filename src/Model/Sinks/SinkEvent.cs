using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Model.Sinks;

/// <summary>Where an event comes from: the value of the <c>cdc.origin</c> header in lower case.</summary>
public enum EventOrigin : byte
{
    /// <summary>From the log.</summary>
    Stream,

    /// <summary>From a backfill.</summary>
    Backfill,

    /// <summary>From the journal, again.</summary>
    Replay,

    /// <summary>From a dead letter or a parked event, again.</summary>
    Redelivery,
}

/// <summary>One event as it leaves: formatted, addressed, identified.</summary>
public sealed class SinkEvent
{
    /// <summary>Topic (or its like) it goes to.</summary>
    public required string Topic { get; init; }

    /// <summary>The formatted key; null where the table has none.</summary>
    public required byte[]? Key { get; init; }

    /// <summary>The formatted value; null for a tombstone.</summary>
    public required byte[]? Value { get; init; }

    /// <summary>Entity of the change.</summary>
    public EntityKey Entity { get; init; }

    /// <summary>Source of the change.</summary>
    public required string Source { get; init; }

    /// <summary>Version of the change.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>Where it comes from.</summary>
    public required EventOrigin Origin { get; init; }

    /// <summary>Number of the table schema it follows.</summary>
    public required int SchemaVersion { get; init; }

    /// <summary>Headers of the format itself; null for none. Our own (<c>cdc.*</c>) are added by the sink.</summary>
    public IReadOnlyList<KeyValuePair<string, byte[]>>? Headers { get; init; }

    /// <summary>Why the sink refused it for good; null when it was delivered. Set by the sink before it completes the delivery.</summary>
    public string? Refusal { get; set; }

    /// <summary>The event id: <c>source:commit LSN:ordinal</c>, the same on every delivery.</summary>
    public string Id => $"{Source}:{Version.CommitLsn}:{Version.Ordinal}";

    /// <summary>Bytes it keeps in memory, roughly.</summary>
    public int Size => 120 + (Key?.Length ?? 0) + (Value?.Length ?? 0);
}
