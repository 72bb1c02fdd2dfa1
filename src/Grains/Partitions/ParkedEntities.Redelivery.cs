using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <content>How parked events are tried again, and what becomes of them.</content>
internal sealed partial class ParkedEntities
{
    /// <summary>Most entities of the partition that are tried at one sink at a time.</summary>
    private const int MostAtOnce = 8;

    /// <summary>Most events in one attempt, and the bytes after which they are cut off.</summary>
    private const int MostEvents = 500;
    private const long MostBytes = 1 << 20;

    /// <summary>How long the later changes of an entity wait at most, so that it catches up, and the time until they may wait again.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PauseAgain = TimeSpan.FromSeconds(10);

    /// <summary>Time between two looks at how long events have been parked.</summary>
    private static readonly TimeSpan OldestInterval = TimeSpan.FromSeconds(5);

    private DateTimeOffset _showOldestAt;

    /// <summary>Takes a late answer for events that are parked: those that were delivered need not be sent again.</summary>
    public void AnsweredLate(SinkShare share)
    {
        // A batch that is not finished yet shows the answer when it is taken.
        if (!share.IsCounted)
            return;
        share.IsCounted = false;
        foreach (var entity in share.Events.Select(e => e.Entity).Distinct().ToList())
        {
            if (Find(entity, share.Target.Outlet) is not { } parked)
                continue;
            parked.Outstanding--;
            Settle(parked, [.. share.Events.Where(e => e.Entity == entity).Select(e => AsParked(parked, e))], isAttempt: false);
        }
    }

    private static ParkedEvent AsParked(ParkedEntity parked, SinkEvent made) =>
        parked.Replayed?.Remove(made, out var replayed) == true ? replayed! : new ParkedEvent(parked.Outlet.Name, made.Version, made, default);

    /// <summary>Begins to try what is due.</summary>
    public void TryDue()
    {
        if (_isStopped)
            return;
        var now = _source.Time.GetUtcNow();
        foreach (var parked in _paused.Where(p => now - p.PausedAt > LongestPause).ToList())
            EndPause(parked);
        JoinAll();
        ReadHistories();
        if (now >= _showOldestAt)
        {
            _showOldestAt = now + OldestInterval;
            ShowOldest();
        }

        foreach (var (outlet, queue) in _queues)
        {
            var due = new List<ParkedEntity>();
            while (queue.InProgress < MostAtOnce && !outlet.IsShut && queue.TryTake(now, out var parked))
            {
                if (parked is not { Phase: ParkedPhase.Waiting, IsBlocked: false, Outstanding: 0, IsSendingHistory: false })
                    continue;
                if (parked.Events == 0)
                {
                    GoOn(parked);
                    continue;
                }

                parked.Phase = ParkedPhase.Reading;
                queue.InProgress++;
                due.Add(parked);
                if (outlet.IsOpen)
                    break;
            }

            // What follows an event that failed is not sent before it. So while it may fail again, it is tried alone. So is a probe.
            foreach (var entities in due.GroupBy(p => p.Attempts > 0 || outlet.IsOpen || outlet.IsOpenTo(p.Destination)))
                _ = Read(outlet, [.. entities], most: entities.Key ? 1 : MostEvents);
        }
    }

    // Visits every entity, so it is done seldom.
    private void ShowOldest()
    {
        var oldest = new Dictionary<Outlet, DateTimeOffset>();
        foreach (var parked in _entities.Values.SelectMany(e => e).Where(p => p.Events > 0))
        {
            if (!oldest.TryGetValue(parked.Outlet, out var since) || parked.FirstTriedAt < since)
                oldest[parked.Outlet] = parked.FirstTriedAt;
        }

        foreach (var outlet in _queues.Keys)
            outlet.SetOldestParked(this, oldest.TryGetValue(outlet, out var since) ? since : null);
    }

    /// <summary>Tries events that were read.</summary>
    public void Found(Outlet outlet, List<ParkedEntity> due, IReadOnlyList<ParkedEvent>? events)
    {
        // The store may have events that were delivered since the last checkpoint.
        var byEntity = (events ?? []).Where(e => !_buffer.IsUnparked(e.Id)).ToLookup(e => e.Event.Entity);
        foreach (var parked in due)
        {
            // Events that are not durable yet are found after the next checkpoint.
            var found = parked.Sendable(byEntity[parked.Key]);
            if (found.Count == 0 || parked.IsSendingHistory || !outlet.TryPass(found[0].Event))
            {
                End(parked);
                Enqueue(parked, _source.Time.GetUtcNow() + Postponed);
                continue;
            }

            // Events of an entity may block each other, so they are passed one by one.
            if (parked.Policy.Poison == PoisonPolicy.Block)
                found = [found[0]];
            parked.Phase = ParkedPhase.Trying;
            outlet.DeliverAgain(new ParkedAttempt(parked, found, a => _answer(new ParkedTried(a))));
        }
    }

    /// <summary>Takes the answer for an attempt.</summary>
    public void Tried(ParkedAttempt attempt)
    {
        var parked = attempt.Entity;
        End(parked);
        var first = attempt.Events[0];
        if (first.Failure is { IsFinal: false } failure)
            parked.Outlet.Failed(failure, TimeSpan.Zero);
        else
            parked.Outlet.Succeeded(null, first);
        Settle(parked, attempt.Parked, isAttempt: true);
        if (first.Failure is null)
            TryDue();
    }

    // Delivered events leave; refused ones become dead letters; after one that failed for now, the rest waits.
    private void Settle(ParkedEntity parked, IReadOnlyList<ParkedEvent> events, bool isAttempt)
    {
        var now = _source.Time.GetUtcNow();
        if (isAttempt)
            parked.Attempts++;
        foreach (var one in events)
        {
            var made = one.Event;
            if (made.Failure is { IsFinal: false } failure)
            {
                parked.LastError = failure.Error;
                if (Outlet.GivenUp(parked.Policy, parked.Attempts, now - parked.FirstTriedAt) is not { } limit)
                {
                    parked.DueAt = failure.Scope == FailureScope.Event ? now + WaitAfter(parked, failure) : now + Postponed;
                    break;
                }

                made.Failure = DeliveryFailure.Refused($"{limit} Last error: {failure.Error}");
            }

            var (attempts, firstTriedAt) = (parked.Attempts, parked.FirstTriedAt);
            parked.After = one.Position;
            parked.Front.Remove(one.Position);
            parked.Events--;
            parked.Bytes -= made.Size;
            parked.Outlet.CountParked(-1, -made.Size);
            parked.Attempts = 0;
            parked.FirstTriedAt = parked.DueAt = now;
            if (made.Failure is { } refused)
            {
                if (one.LetterId is { } again)
                    _buffer.Unpark(one.Id, parked.State, outcome: new LetterOutcome(again, one.Id, attempts, refused.Error));
                else
                    _buffer.Unpark(one.Id, parked.State, parked.Outlet.LetterOf(made, attempts, firstTriedAt));
                _source.Figures.DeadLetters(1);
                if (parked.Policy.Poison == PoisonPolicy.Block)
                {
                    Block(parked, refused.Error);
                    break;
                }
            }
            else
            {
                _buffer.Unpark(one.Id, parked.State, outcome: one.LetterId is { } delivered ? new LetterOutcome(delivered, one.Id, attempts, null) : null);
            }
        }

        _buffer.Set(parked.State);
        if (events[^1].Event.Failure is { IsFinal: false })
            EndPause(parked);
        else if (isAttempt && parked is { Events: <= MostEvents, IsBlocked: false, PausedAt: null } && parked.PauseAfter <= now)
            BeginPause(parked, now);
        if (parked.IsEmpty)
            GoOn(parked);
        else
            Enqueue(parked);
    }

    // While new events are parked behind the old ones without a gap, none would ever be the last. So when few are left, the later changes
    // of the entity wait for a moment.
    private void BeginPause(ParkedEntity parked, DateTimeOffset now)
    {
        parked.PausedAt = now;
        _paused.Add(parked);
        Pause(parked.Key);
    }

    private void EndPause(ParkedEntity parked)
    {
        if (parked.PausedAt is null)
            return;
        parked.PausedAt = null;
        parked.PauseAfter = _source.Time.GetUtcNow() + PauseAgain;
        _paused.Remove(parked);
        Resume(parked.Key);
    }

    private async Task Read(Outlet outlet, List<ParkedEntity> due, int most)
    {
        IReadOnlyList<ParkedEvent>? events = null;
        try
        {
            events = await _source.Parked.ReadEvents(
                _source.Name, outlet.Name, due.ConvertAll(p => (p.Key, p.After)), most, MostBytes, CancellationToken.None).ConfigureAwait(false);
            _source.Figures.ParkedRead(null);
        }
#pragma warning disable CA1031 // The control database may be out of reach. The events are tried again later.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _source.Figures.ParkedRead(exception.Message);
        }

        _answer(new ParkedFound(outlet, due, events));
    }

    private void End(ParkedEntity parked)
    {
        parked.Phase = ParkedPhase.Waiting;
        _queues[parked.Outlet].InProgress--;
    }
}
