using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Model.Storage;

/// <summary>Reads what is parked. It is written by checkpoints (<see cref="ICheckpointStore.Commit"/>). Safe for concurrent use.</summary>
public interface IParkedStore
{
    /// <summary>Returns the entities of a partition that have parked events, one for each sink.</summary>
    Task<IReadOnlyList<ParkedEntityState>> ReadEntities(string source, int partition, CancellationToken cancellation);

    /// <summary>Returns the oldest parked events of some entities at one sink, those of an entity in order.</summary>
    /// <param name="source">The source.</param>
    /// <param name="sink">Name of the sink.</param>
    /// <param name="entities">The entities, each with the position after which its events are read.</param>
    /// <param name="most">Most events of each entity.</param>
    /// <param name="mostBytes">
    /// Bytes after which an entity's events are cut off, and after which no further entity is read. At least one event is returned.
    /// </param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<ParkedEvent>> ReadEvents(
        string source, string sink, IReadOnlyList<(EntityKey Entity, ParkedPosition After)> entities, int most, long mostBytes, CancellationToken cancellation);
}

/// <summary>A parked event.</summary>
/// <param name="Sink">The sink that it waits for.</param>
/// <param name="Place">
/// Its place among the parked events of its entity at the sink. The version of its change; that of the newest event when an older one is
/// delivered again.
/// </param>
/// <param name="Event">The event.</param>
/// <param name="ParkedAt">When it was parked.</param>
public sealed record ParkedEvent(string Sink, ChangeVersion Place, SinkEvent Event, DateTimeOffset ParkedAt)
{
    /// <summary>Bytes of the largest event that can be parked: it must fit into a statement.</summary>
    public const int MostBytes = 256 << 20;

    /// <summary>Number among the events that are delivered again at the same place, from 1; 0 for an event from the log.</summary>
    public int Turn { get; init; }

    /// <summary>The dead letter that is delivered again; null for an event from the log.</summary>
    public long? LetterId { get; init; }

    /// <summary>What identifies it.</summary>
    public ParkedEventId Id => new(Sink, Event.Entity, Position);

    /// <summary>Its position among the parked events of its entity at the sink.</summary>
    public ParkedPosition Position => new(Place, Event.Version, Event.Part) { Turn = Turn };

    /// <summary>Approximate bytes in memory and in the store.</summary>
    public int Size => Event.Size;
}

/// <summary>Identifies a parked event within its source.</summary>
/// <param name="Sink">The sink.</param>
/// <param name="Entity">The entity.</param>
/// <param name="Position">Its position.</param>
public readonly record struct ParkedEventId(string Sink, EntityKey Entity, ParkedPosition Position) : IComparable<ParkedEventId>
{
    /// <inheritdoc />
    public int CompareTo(ParkedEventId other)
    {
        var bySink = string.CompareOrdinal(Sink, other.Sink);
        if (bySink != 0)
            return bySink;
        var byTable = string.CompareOrdinal(Entity.Table, other.Entity.Table);
        if (byTable != 0)
            return byTable;
        var byKey = string.CompareOrdinal(Entity.Key, other.Entity.Key);
        return byKey != 0 ? byKey : Position.CompareTo(other.Position);
    }

    /// <summary>Whether the left one comes before the right one.</summary>
    public static bool operator <(ParkedEventId left, ParkedEventId right) => left.CompareTo(right) < 0;

    /// <summary>Whether the left one comes after the right one.</summary>
    public static bool operator >(ParkedEventId left, ParkedEventId right) => left.CompareTo(right) > 0;

    /// <summary>Whether the left one comes before the right one or is the same.</summary>
    public static bool operator <=(ParkedEventId left, ParkedEventId right) => left.CompareTo(right) <= 0;

    /// <summary>Whether the left one comes after the right one or is the same.</summary>
    public static bool operator >=(ParkedEventId left, ParkedEventId right) => left.CompareTo(right) >= 0;
}

/// <summary>The position of an event among the parked ones of its entity at a sink. The default comes before all.</summary>
/// <param name="Place">Its place.</param>
/// <param name="Version">Version of its change.</param>
/// <param name="Part">Its number among the events of the change.</param>
public readonly record struct ParkedPosition(ChangeVersion Place, ChangeVersion Version, int Part) : IComparable<ParkedPosition>
{
    /// <summary>Number among the events that are delivered again at the same place, from 1; 0 for an event from the log.</summary>
    public int Turn { get; init; }

    /// <inheritdoc />
    public int CompareTo(ParkedPosition other)
    {
        var byPlace = Place.CompareTo(other.Place);
        if (byPlace != 0)
            return byPlace;
        var byTurn = Turn.CompareTo(other.Turn);
        if (byTurn != 0)
            return byTurn;
        var byVersion = Version.CompareTo(other.Version);
        return byVersion != 0 ? byVersion : Part.CompareTo(other.Part);
    }

    /// <summary>Whether the left one comes before the right one.</summary>
    public static bool operator <(ParkedPosition left, ParkedPosition right) => left.CompareTo(right) < 0;

    /// <summary>Whether the left one comes after the right one.</summary>
    public static bool operator >(ParkedPosition left, ParkedPosition right) => left.CompareTo(right) > 0;

    /// <summary>Whether the left one comes before the right one or is the same.</summary>
    public static bool operator <=(ParkedPosition left, ParkedPosition right) => left.CompareTo(right) <= 0;

    /// <summary>Whether the left one comes after the right one or is the same.</summary>
    public static bool operator >=(ParkedPosition left, ParkedPosition right) => left.CompareTo(right) >= 0;
}

/// <summary>What is known of the parked events of one entity at one sink.</summary>
public sealed record ParkedEntityState
{
    /// <summary>The entity.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>The sink.</summary>
    public required string Sink { get; init; }

    /// <summary>Number of parked events. It may be 0 while changes up to <see cref="Newest"/> may come again.</summary>
    public required int Events { get; init; }

    /// <summary>Bytes of the parked events.</summary>
    public required long Bytes { get; init; }

    /// <summary>Position of the newest event that was parked, even if it has left. What is streamed again up to it is not parked again.</summary>
    public required ParkedPosition Newest { get; init; }

    /// <summary>Attempts of the oldest event.</summary>
    public required int Attempts { get; init; }

    /// <summary>When the oldest event was tried first.</summary>
    public required DateTimeOffset FirstTriedAt { get; init; }

    /// <summary>When it is tried next.</summary>
    public required DateTimeOffset DueAt { get; init; }

    /// <summary>The last failure; null when nothing was tried yet, because a circuit was open.</summary>
    public string? LastError { get; init; }

    /// <summary>Whether a person must decide about a dead letter before the parked events go on.</summary>
    public bool IsBlocked { get; init; }

    /// <summary>Whether nothing needs to be known of the entity any more; then nothing is stored of it.</summary>
    public bool IsOver { get; init; }
}
