using System.Globalization;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>One event as a consumer finds it. Key and value are JSON text; a null value is a tombstone.</summary>
internal readonly record struct DeliveredEvent(string Topic, string? Key, string? Value, string? Id, string? Version);

/// <summary>Where delivered events are read from.</summary>
internal interface IDeliveredEvents : IDisposable
{
    /// <summary>Events that arrived since the last call, in order within a topic's partition (of which a key has one).</summary>
    IEnumerable<DeliveredEvent> ReadNew();
}

/// <summary>
/// The order of events within a source: a commit's position in the log, the change's place in the transaction, and for a row that a backfill
/// read the number of its chunk. Such a row has the version of a place in the log, where a change may have been; it follows that change.
/// </summary>
internal readonly record struct EventVersion(ulong CommitLsn, long Ordinal, long Chunk = 0) : IComparable<EventVersion>
{
    public int CompareTo(EventVersion other) =>
        CommitLsn != other.CommitLsn ? CommitLsn.CompareTo(other.CommitLsn)
        : Ordinal != other.Ordinal ? Ordinal.CompareTo(other.Ordinal)
        : Chunk.CompareTo(other.Chunk);

    public override string ToString() => $"{CommitLsn >> 32:X}/{(uint)CommitLsn:X}/{Ordinal}{(Chunk > 0 ? $" (chunk {Chunk})" : "")}";

    /// <summary>Reads <c>16/B374D848/3</c>.</summary>
    public static bool TryParse(string? text, out EventVersion version)
    {
        version = default;
        if (text?.Split('/') is not [var high, var low, var ordinal]
            || !uint.TryParse(high, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var h)
            || !uint.TryParse(low, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var l)
            || !long.TryParse(ordinal, NumberStyles.None, CultureInfo.InvariantCulture, out var o))
            return false;
        version = new EventVersion(((ulong)h << 32) | l, o);
        return true;
    }
}
