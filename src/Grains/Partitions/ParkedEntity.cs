using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>What the partition is doing with the parked events of one entity at one sink.</summary>
internal enum ParkedPhase : byte
{
    /// <summary>They wait until they are due.</summary>
    Waiting,

    /// <summary>They are being read from the store.</summary>
    Reading,

    /// <summary>The sink has some of them.</summary>
    Trying,

    /// <summary>None is left, and the activation of the entity was asked to send its next events to the sink again.</summary>
    Unparking,
}

/// <summary>The parked events of one entity at one sink, as the partition knows them. Used on the partition's scheduler only.</summary>
internal sealed class ParkedEntity(EntityKey key, Outlet outlet, DeliveryPolicy policy)
{
    /// <summary>The entity.</summary>
    public EntityKey Key { get; } = key;

    /// <summary>The way to the sink.</summary>
    public Outlet Outlet { get; } = outlet;

    /// <summary>The policy of the route.</summary>
    public DeliveryPolicy Policy { get; set; } = policy;

    /// <summary>What the partition is doing with the events.</summary>
    public ParkedPhase Phase { get; set; }

    /// <inheritdoc cref="ParkedEntityState.Events" />
    public int Events { get; set; }

    /// <inheritdoc cref="ParkedEntityState.Bytes" />
    public long Bytes { get; set; }

    /// <inheritdoc cref="ParkedEntityState.Newest" />
    public ParkedPosition Newest { get; set; }

    /// <inheritdoc cref="ParkedEntityState.Attempts" />
    public int Attempts { get; set; }

    /// <inheritdoc cref="ParkedEntityState.FirstTriedAt" />
    public DateTimeOffset FirstTriedAt { get; set; }

    /// <inheritdoc cref="ParkedEntityState.DueAt" />
    public DateTimeOffset DueAt { get; set; }

    /// <inheritdoc cref="ParkedEntityState.LastError" />
    public string? LastError { get; set; }

    /// <inheritdoc cref="ParkedEntityState.IsBlocked" />
    public bool IsBlocked { get; set; }

    /// <summary>
    /// Position of the last event that was delivered or given up on. The store may still have it, because that is not durable yet.
    /// </summary>
    public ParkedPosition After { get; set; }

    /// <summary>Where its oldest event goes within the sink; null while that is not known.</summary>
    public string? Destination { get; set; }

    /// <summary>Deliveries that the sink still has although their events were parked. Nothing is sent before it has answered.</summary>
    public int Outstanding { get; set; }

    /// <summary>How many applies with parked events came from the entity's current activation.</summary>
    public int Seen { get; set; }

    /// <summary>Since when its later changes wait, so that it catches up; null when they do not wait.</summary>
    public DateTimeOffset? PausedAt { get; set; }

    /// <summary>When its later changes may be made to wait again.</summary>
    public DateTimeOffset PauseAfter { get; set; }

    /// <summary>
    /// Positions of events that were put in front of others: because the entity was blocked, or because a replay parked its past changes.
    /// They may not be durable yet, and nothing after them is sent before.
    /// </summary>
    public SortedSet<ParkedPosition> Front { get; } = [];

    /// <summary>Events of replays that the sink still had when they were parked, as they were parked: their places are not their versions. Null for none.</summary>
    public Dictionary<SinkEvent, ParkedEvent>? Replayed { get; set; }

    /// <summary>Whether the activation of the entity was asked to park its next events, because a dead letter is to be delivered again.</summary>
    public bool IsAsked { get; set; }

    /// <summary>Whether the state of the entity is being read for a dead letter.</summary>
    public bool IsReading { get; set; }

    /// <summary>The state that was read; null for none.</summary>
    public KnownState? Read { get; set; }

    /// <summary>Dead letters that are to be parked, in order.</summary>
    public List<ReturningLetter> Returning { get; } = [];

    /// <summary>Its past changes that a replay sends; null for none.</summary>
    public EntityHistory? History { get; set; }

    /// <summary>Whether parked events are not tried, because past changes are being sent.</summary>
    public bool IsSendingHistory => History is { IsPlaced: true };

    /// <summary>Shares of the entity's lane that may have events of it and were passed to the sink before; null when it was not looked.</summary>
    public IReadOnlyList<SinkShare>? Before { get; set; }

    /// <summary>Number of its last entry in the queue of what is due.</summary>
    public int Ticket { get; set; }

    /// <summary>Whether no event is left, and nothing stands in the way of later ones.</summary>
    public bool IsEmpty => Events == 0 && !IsBlocked && Outstanding == 0 && Returning.Count == 0 && History is null;

    /// <inheritdoc cref="ParkedEntityState.IsOver" />
    public bool IsOver { get; set; }

    /// <summary>Returns those of its oldest stored events that may be sent: up to the first one that has an event before it that is not stored yet.</summary>
    public List<ParkedEvent> Sendable(IEnumerable<ParkedEvent> stored)
    {
        if (Front.Count == 0)
            return [.. stored];
        using var front = Front.GetEnumerator();
        var isFront = front.MoveNext();
        var some = new List<ParkedEvent>();
        foreach (var one in stored)
        {
            if (isFront && one.Position > front.Current)
                break;
            some.Add(one);
            if (isFront && one.Position == front.Current)
                isFront = front.MoveNext();
        }

        return some;
    }

    /// <summary>Returns what is stored of it.</summary>
    public ParkedEntityState State => new()
    {
        Entity = Key,
        Sink = Outlet.Name,
        Events = Events,
        Bytes = Bytes,
        Newest = Newest,
        Attempts = Attempts,
        FirstTriedAt = FirstTriedAt,
        DueAt = DueAt,
        LastError = LastError,
        IsBlocked = IsBlocked,
        IsOver = IsOver,
    };
}
