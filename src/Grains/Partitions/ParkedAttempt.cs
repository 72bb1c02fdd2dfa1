using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>An attempt to deliver the oldest parked events of an entity.</summary>
internal sealed class ParkedAttempt : Delivery
{
    private readonly SinkEvent[] _events;
    private readonly Action<ParkedAttempt> _answered;
    private int _isAnswered;

    public ParkedAttempt(ParkedEntity entity, IReadOnlyList<ParkedEvent> parked, Action<ParkedAttempt> answered)
    {
        Entity = entity;
        Parked = parked;
        _events = [.. parked.Select(p => p.Event)];
        _answered = answered;

        // What comes after these events may go elsewhere.
        entity.Destination = null;
    }

    /// <summary>The entity at the sink.</summary>
    public ParkedEntity Entity { get; }

    /// <summary>The events, in order.</summary>
    public IReadOnlyList<ParkedEvent> Parked { get; }

    /// <inheritdoc />
    public override IReadOnlyList<SinkEvent> Events => _events;

    /// <inheritdoc />
    public override void Complete()
    {
        if (Interlocked.Exchange(ref _isAnswered, 1) == 0)
            _answered(this);
    }
}
