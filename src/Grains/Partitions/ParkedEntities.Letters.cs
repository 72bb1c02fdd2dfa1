using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <content>
/// How dead letters are delivered again: each is parked behind the events of its entity at the sink, and takes the way of every parked
/// event from there. Before, the entity must have nothing on its way to the sink, and must park its next events.
/// </content>
internal sealed partial class ParkedEntities
{
    // Entities with letters that are not parked yet.
    private readonly HashSet<ParkedEntity> _joining = [];

    /// <summary>Asks an entity to park its next events for a sink (<see cref="EntityGrain.Join"/>); set by the partition.</summary>
    public Func<ParkedEntity, UnparkResult> AskToJoin { get; set; } = _ => UnparkResult.Asleep;

    /// <summary>Takes claimed dead letters. Each is answered when it is parked, or cannot be.</summary>
    public IReadOnlyList<ReturningLetter> Return(IReadOnlyList<StoredLetter> letters, RedeliverAs what)
    {
        var all = new List<ReturningLetter>();
        foreach (var letter in letters.OrderBy(l => l.Summary.Version).ThenBy(l => l.Summary.Part))
        {
            var returning = new ReturningLetter(letter, what);
            all.Add(returning);
            var summary = letter.Summary;
            if (_source.Routes.TargetOf(summary.Entity.Table, summary.Sink) is not { } target)
            {
                returning.Refuse($"No route leads from {summary.Source}.{summary.Entity.Table} to sink '{summary.Sink}'. Configure the sink and its route again, or discard it.");
                continue;
            }

            if (what == RedeliverAs.Event && !summary.HasEvent)
            {
                returning.Refuse("It has no event: no format could write its change, or it was too large to be stored. Redeliver it as 'current', or discard it.");
                continue;
            }

            var parked = Get(summary.Entity, target);
            parked.Returning.Add(returning);
            _joining.Add(parked);
        }

        JoinAll();
        return all;
    }

    /// <summary>Lets blocked entities go on whose dead letter was discarded.</summary>
    public void Discarded(IReadOnlyList<LetterPlace> letters)
    {
        foreach (var letter in letters)
        {
            if (_source.Routes.TargetOf(letter.Entity.Table, letter.Sink) is not { } target || Find(letter.Entity, target.Outlet) is not { IsBlocked: true } parked)
                continue;
            Unblock(parked);
            _buffer.Set(parked.State);
            Enqueue(parked);
        }
    }

    /// <summary>Makes parked events due now. Returns the number of entities, counted for each sink.</summary>
    public int RetryNow(string sink, string? table, string? key)
    {
        var now = _source.Time.GetUtcNow();
        var count = 0;
        foreach (var parked in _entities.Values.SelectMany(e => e))
        {
            if (parked.Outlet.Name != sink || (table ?? parked.Key.Table) != parked.Key.Table || (key ?? parked.Key.Key) != parked.Key.Key
                || parked is not { Events: > 0, IsBlocked: false })
                continue;
            count++;
            parked.DueAt = now;
            if (parked.Phase == ParkedPhase.Waiting)
                Enqueue(parked);
        }

        return count;
    }

    /// <summary>Takes the answer of an entity that was asked to park its next events.</summary>
    public void Joined(EntityKey entity, Outlet outlet, bool isJoined, KnownState? state)
    {
        if (Find(entity, outlet) is not { IsAsked: true } parked)
            return;
        parked.IsAsked = false;
        if (isJoined)
            ParkReturned(parked, state, isAsleep: false);
    }

    /// <summary>Takes a state that was read for a dead letter; null when it could not be read.</summary>
    public void StateRead(ParkedEntity parked, ParkedPosition newest, KnownState? state)
    {
        parked.IsReading = false;
        if (state is null)
        {
            Refuse(parked, r => r.What == RedeliverAs.Current ? "The stored state of its entity cannot be read now. Try again in a moment." : null);
            return;
        }

        // Only what is parked changes the state without an activation, because later events are parked.
        parked.Read = parked.Newest == newest ? state : null;
        Join(parked);
    }

    private void JoinAll()
    {
        foreach (var parked in _joining.Count == 0 ? [] : _joining.ToList())
            Join(parked);
    }

    // The letters are parked in the turn in which it is certain that nothing of the entity is on its way to the sink.
    private void Join(ParkedEntity parked)
    {
        if ((parked.Returning.Count == 0 && !NeedsPlace(parked)) || parked.IsAsked || parked.IsReading || parked.Phase == ParkedPhase.Unparking)
            return;
        switch (AskToJoin(parked))
        {
            case UnparkResult.Asked:
                parked.IsAsked = true;
                break;
            case UnparkResult.Asleep:
                ParkReturned(parked, null, isAsleep: true);
                break;
            default:
                break;
        }
    }

    private void ParkReturned(ParkedEntity parked, KnownState? known, bool isAsleep)
    {
        parked.Before = null;
        if (!TryPlace(parked, known, isAsleep))
            return;
        known ??= _buffer.Find(parked.Key) is { } recent ? new KnownState(recent) : parked.Read;
        if (known is null && parked.Returning.Exists(r => r.What == RedeliverAs.Current))
        {
            parked.IsReading = true;
            _ = ReadState(parked, parked.Newest);
            return;
        }

        _joining.Remove(parked);
        parked.Read = null;
        List<ReturningLetter> letters = [.. parked.Returning];
        parked.Returning.Clear();
        foreach (var returning in letters)
        {
            if (returning.What == RedeliverAs.Event)
                ParkAgain(parked, returning.Letter.Summary.Id, EventOf(returning.Letter), atFront: parked.IsBlocked);
            else if (!TryParkCurrent(parked, returning, known!.State))
                continue;
            returning.Answer.TrySetResult(null);
        }

        if (parked.IsEmpty)
            GoOn(parked);
        ReadHistories();
    }

    private bool TryParkCurrent(ParkedEntity parked, ReturningLetter returning, EntityState? state)
    {
        if (CurrentEvents.Problem(state) is { } problem)
        {
            returning.Refuse(problem);
            return false;
        }

        IReadOnlyList<SinkEvent> events;
        try
        {
            events = CurrentEvents.Of(_source, parked.Key, state!, parked.Outlet.Name);
        }
#pragma warning disable CA1031 // An error of a format must stop only this letter.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            returning.Refuse($"The format cannot write the current row: {exception.GetType().Name}.");
            return false;
        }

        // The letter is over when the last event is delivered.
        for (var i = 0; i < events.Count; i++)
            ParkAgain(parked, i == events.Count - 1 ? returning.Letter.Summary.Id : null, events[i], atFront: false);
        return true;
    }

    // An event of a blocked entity is older than all that wait behind it. Every other one goes behind what is parked, or what was sent: all
    // changes that are not finished have a version higher than the progress.
    private void ParkAgain(ParkedEntity parked, long? letter, SinkEvent made, bool atFront)
    {
        var now = _source.Time.GetUtcNow();
        var one = (atFront ? new ParkedEvent(parked.Outlet.Name, made.Version, made, now) : PlaceLast(parked, made, now)) with { LetterId = letter };
        Unblock(parked);
        if (atFront)
        {
            parked.After = default;
            parked.Front.Add(one.Position);
        }

        if (one.Position > parked.Newest)
            parked.Newest = one.Position;
        if (parked.Events == 0 || atFront)
        {
            parked.Attempts = 0;
            parked.FirstTriedAt = parked.DueAt = now;
        }

        parked.Events++;
        parked.Bytes += made.Size;
        parked.Outlet.CountParked(1, made.Size);
        _buffer.Park(one, parked.State);
        if (parked.Phase == ParkedPhase.Waiting)
            Enqueue(parked);
    }

    // Whether it is a row of a replay or a backfill, and not a change. An event of a change may have the same version.
    private static bool IsRow(SinkEvent made) => made.Origin is EventOrigin.Replay or EventOrigin.Backfill;

    // Such a row has the version of a change that may not be finished.
    private ParkedEvent PlaceLast(ParkedEntity parked, SinkEvent made, DateTimeOffset now)
    {
        var place = LastPlace(parked);
        if (IsRow(made) && made.Version > place)
            place = made.Version;
        return new ParkedEvent(parked.Outlet.Name, place, made, now) { Turn = NextTurn(parked, place) };
    }

    // Behind what is parked, and behind what was sent: all changes that are not finished have a version higher than the progress.
    private ChangeVersion LastPlace(ParkedEntity parked) => parked.Newest.Place > _buffer.Progress ? parked.Newest.Place : _buffer.Progress;

    private static int NextTurn(ParkedEntity parked, ChangeVersion place) => parked.Newest.Place == place ? parked.Newest.Turn + 1 : 1;

    private void Unblock(ParkedEntity parked)
    {
        if (!parked.IsBlocked)
            return;
        parked.IsBlocked = false;
        parked.Attempts = 0;
        parked.FirstTriedAt = parked.DueAt = _source.Time.GetUtcNow();
    }

    private void Refuse(ParkedEntity parked, Func<ReturningLetter, string?> why)
    {
        foreach (var returning in parked.Returning.ToList())
        {
            if (why(returning) is not { } reason)
                continue;
            returning.Refuse(reason);
            parked.Returning.Remove(returning);
        }

        if (parked.Returning.Count == 0 && !NeedsPlace(parked))
            _joining.Remove(parked);
        if (parked.IsEmpty)
            GoOn(parked);
    }

    private async Task ReadState(ParkedEntity parked, ParkedPosition newest)
    {
        KnownState? state = null;
        try
        {
            state = new KnownState(await _source.QueryState(parked.Key).ConfigureAwait(false));
        }
        catch (StateUnavailableException)
        {
            // The letter is given back.
        }

        _answer(new LetterStateRead(parked, newest, state));
    }

    private static SinkEvent EventOf(StoredLetter letter) => new()
    {
        Topic = letter.Summary.Topic,
        Entity = letter.Summary.Entity,
        Key = letter.Key,
        Value = letter.Value,
        Headers = letter.Headers,
        Source = letter.Summary.Source,
        Version = letter.Summary.Version,
        Part = letter.Summary.Part,
        SchemaVersion = letter.Summary.SchemaVersion,
        Origin = EventOrigin.Redelivery,
    };
}
