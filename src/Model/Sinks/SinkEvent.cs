using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Model.Sinks;

/// <summary>Why an event is sent: the value of the <c>cdc.origin</c> header in lower case.</summary>
public enum EventOrigin : byte
{
    /// <summary>A change that was read from the log.</summary>
    Stream,

    /// <summary>A row that was read by a backfill.</summary>
    Backfill,

    /// <summary>A change that is sent again from the journal.</summary>
    Replay,

    /// <summary>A dead letter or a parked event that is sent again.</summary>
    Redelivery,
}

/// <summary>One formatted event.</summary>
public sealed class SinkEvent
{
    /// <summary>Topic of the event, or what corresponds to a topic at the sink.</summary>
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

    /// <summary>Why the event is sent.</summary>
    public required EventOrigin Origin { get; init; }

    /// <summary>Number of the table schema it follows.</summary>
    public required int SchemaVersion { get; init; }

    /// <summary>Headers of the format; null for none. The sink adds the headers <c>cdc.*</c>.</summary>
    public IReadOnlyList<KeyValuePair<string, byte[]>>? Headers { get; init; }

    /// <summary>
    /// Why the sink refused the event for good; null when it was delivered. The sink sets it before it completes the delivery.
    /// </summary>
    public string? Refusal { get; set; }

    /// <summary>The event id: <c>source:commit LSN:ordinal</c>, the same on every delivery.</summary>
    public string Id => $"{Source}:{Version.CommitLsn}:{Version.Ordinal}";

    /// <summary>Approximate size in memory, in bytes.</summary>
    public int Size => 120 + (Key?.Length ?? 0) + (Value?.Length ?? 0);
}
