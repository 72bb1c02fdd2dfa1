using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The past changes of one entity that a replay sends to one sink. They are sent page by page, while the later events of the entity wait
/// behind them as parked events. Used on the partition's scheduler only.
/// </summary>
internal sealed class EntityHistory(ReplayWork work)
{
    /// <summary>Number of turns at its place that are kept free for it: one for each time that the log of the source began anew.</summary>
    public const int Turns = 100;

    private ChangeVersion _newest;
    private int _turns = 1;

    /// <summary>The part of the replay.</summary>
    public ReplayWork Work { get; } = work;

    /// <summary>The one that is sent after it; null for none.</summary>
    public EntityHistory? Next { get; private set; }

    /// <summary>How far it was read; null before the entity parks its later events, and when every page was read.</summary>
    public HistoryPlace? At { get; set; }

    /// <summary>Whether it has a place among the events of the entity: all later events are parked behind it.</summary>
    public bool IsPlaced { get; private set; }

    /// <summary>Whether the changes that were sent before are finished at all sinks, so that the journal will have them.</summary>
    public bool IsFinished { get; set; }

    /// <summary>Whether its events are parked: earlier events of the entity wait at the sink, or the sink did not take an event of it.</summary>
    public bool IsParking { get; set; }

    /// <summary>Whether the sink failed for now with an event of it.</summary>
    public bool HasFailed { get; set; }

    /// <summary>The place of its events if they are parked.</summary>
    public ChangeVersion Place { get; private set; }

    /// <summary>The turn of its events at the place.</summary>
    public int Turn { get; private set; }

    /// <summary>Events that were read and not sent.</summary>
    public IReadOnlyList<SinkEvent> Page { get; set; } = [];

    /// <summary>Changes that are done, by what became of them.</summary>
    public int[] Finished { get; } = new int[3];

    /// <summary>Events that were parked.</summary>
    public int Parked { get; set; }

    /// <summary>Events that became dead letters.</summary>
    public int Refused { get; set; }

    /// <summary>Adds one that is sent after it, and after those that were added before.</summary>
    public void Append(EntityHistory later)
    {
        var last = this;
        while (last.Next is { } next)
            last = next;
        last.Next = later;
    }

    /// <summary>Gives it a place.</summary>
    /// <param name="place">The place.</param>
    /// <param name="turn">The first of its turns there.</param>
    /// <param name="at">Where to begin to read.</param>
    public void PlaceAt(ChangeVersion place, int turn, HistoryPlace at)
    {
        IsPlaced = true;
        (Place, Turn, At) = (place, turn, at);
    }

    /// <summary>Returns an event as it is parked. Called for every event, in order.</summary>
    public ParkedEvent AsParked(string sink, SinkEvent made, DateTimeOffset now)
    {
        // Within a turn, the order is that of the versions. They are lower again where the log began anew.
        if (made.Version < _newest && _turns < Turns)
        {
            Turn++;
            _turns++;
        }

        _newest = made.Version;
        return new ParkedEvent(sink, Place, made, now) { Turn = Turn };
    }
}
