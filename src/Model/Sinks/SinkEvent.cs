using System.Text;
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

    /// <summary>A stored row that is sent again by a replay.</summary>
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

    /// <summary>Name of the header with the number of the chunk in which a backfill read the row.</summary>
    public const string ChunkHeader = "cdc.chunk";

    /// <summary>
    /// Headers of the format, and <see cref="ChunkHeader"/> for a row that a backfill read; null for none. The sink adds the other headers
    /// <c>cdc.*</c>.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, byte[]>>? Headers { get; init; }

    /// <summary>Number of the event among those of its change in its format, from 0: a tombstone is 1.</summary>
    public int Part { get; set; }

    /// <summary>Why the sink did not deliver the event; null when it was delivered. The sink sets it before it completes the delivery.</summary>
    public DeliveryFailure? Failure { get; set; }

    /// <summary>The number of the chunk in which a backfill read the row, as text; null when none did.</summary>
    public string? Chunk
    {
        get
        {
            for (var i = 0; i < (Headers?.Count ?? 0); i++)
            {
                if (Headers![i].Key == ChunkHeader)
                    return Encoding.UTF8.GetString(Headers[i].Value);
            }

            return null;
        }
    }

    /// <summary>
    /// The event id: <c>source:commit LSN:ordinal</c>, the same on every delivery. For a row that a backfill read, <c>:chunk</c> follows: its
    /// version is that of the place in the stream, where a change may have been.
    /// </summary>
    public string Id => Chunk is { } chunk ? $"{Source}:{Version.CommitLsn}:{Version.Ordinal}:{chunk}" : $"{Source}:{Version.CommitLsn}:{Version.Ordinal}";

    /// <summary>Approximate size in memory, in bytes.</summary>
    public int Size => 120 + (Key?.Length ?? 0) + (Value?.Length ?? 0);
}
