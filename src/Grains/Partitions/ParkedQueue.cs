using System.Diagnostics.CodeAnalysis;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The entities that wait at one sink, in the order in which they are due. Those whose events go to a destination that accepts nothing stay
/// here, so that their events are not read again and again. Used on the partition's scheduler only.
/// </summary>
internal sealed class ParkedQueue
{
    private readonly Waiting _anywhere = new();
    private readonly Dictionary<string, Waiting> _destinations = new(StringComparer.Ordinal);

    /// <summary>Number of entities that are being tried.</summary>
    public int InProgress { get; set; }

    /// <summary>Adds an entity. An entry that it has already does not count any more.</summary>
    public void Add(ParkedEntity parked, DateTimeOffset at)
    {
        var waiting = _anywhere;
        if (parked is { Events: > 0, Destination: { } destination } && !_destinations.TryGetValue(destination, out waiting!))
            _destinations.Add(destination, waiting = new Waiting());
        waiting.Add(parked, at);
    }

    /// <summary>Takes the next entity that is due, unless its destination accepts nothing now.</summary>
    public bool TryTake(DateTimeOffset now, [NotNullWhen(true)] out ParkedEntity? parked)
    {
        var (next, earliest) = _anywhere.Peek() is { } free ? (_anywhere, free.At) : (null, DateTimeOffset.MaxValue);
        foreach (var (destination, waiting) in _destinations)
        {
            if (waiting.Peek() is not { } first)
                _destinations.Remove(destination);
            else if (first.At < earliest && first.At <= now && MayTry(first.Entity, destination, waiting, now))
                (next, earliest) = (waiting, first.At);
        }

        parked = earliest <= now ? next?.Take(now) : null;
        return parked is not null;
    }

    // Only one event at a time passes an open circuit, so one look takes only one entity.
    private static bool MayTry(ParkedEntity parked, string destination, Waiting waiting, DateTimeOffset now) =>
        !parked.Outlet.IsShutTo(destination) && (waiting.TakenAt != now || !parked.Outlet.IsOpenTo(destination));

    private sealed class Waiting
    {
        // An entity counts with its last ticket only; entries with earlier ones are passed over.
        private readonly PriorityQueue<(ParkedEntity Entity, int Ticket), DateTimeOffset> _due = new();

        /// <summary>The look that took the last one.</summary>
        public DateTimeOffset TakenAt { get; private set; }

        public void Add(ParkedEntity parked, DateTimeOffset at) => _due.Enqueue((parked, ++parked.Ticket), at);

        public (ParkedEntity Entity, DateTimeOffset At)? Peek()
        {
            while (_due.TryPeek(out var first, out var at))
            {
                if (first.Ticket == first.Entity.Ticket)
                    return (first.Entity, at);
                _due.Dequeue();
            }

            return null;
        }

        public ParkedEntity Take(DateTimeOffset now)
        {
            TakenAt = now;
            return _due.Dequeue().Entity;
        }
    }
}

/// <summary>What became of the request that an entity goes on.</summary>
internal enum UnparkResult
{
    /// <summary>It has no activation, so there is nobody to ask.</summary>
    Asleep,

    /// <summary>Its activation was asked, and will answer.</summary>
    Asked,

    /// <summary>It is waking, leaving, or a change of it is being applied in passing. Ask later.</summary>
    Later,
}
