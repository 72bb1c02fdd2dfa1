using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// Events of some changes, in order, one list for each sink. It is filled on one thread and then sent. The sinks do not wait for each
/// other. When every event has an outcome at every sink, <see cref="Finished"/> is called once, from any thread.
/// </summary>
/// <param name="room">Bytes reserved for the batch in the <see cref="Budgets.MemoryBudget"/>; 0 when it needs few.</param>
internal abstract class EventBatch(long room = 0)
{
    [ThreadStatic] private static List<SinkEvent>? _scratch;

    private SinkShare? _first;
    private List<DeadLetter>? _unformatted;
    private List<JournalRow>? _journal;
    private int _open;
    private int _shares;
    private long _room = room;

    /// <summary>Whether there is no event for any sink.</summary>
    public bool IsEmpty => _first is null;

    /// <summary>Changes that no route selects.</summary>
    public int Unrouted { get; private set; }

    /// <summary>Changes that a route selects and whose operation is skipped.</summary>
    public int Skipped { get; private set; }

    /// <summary>When it was applied, as a timestamp of the clock, if it has a change whose times are measured; else 0.</summary>
    public long AppliedAt { get; set; }

    /// <summary>Whether the partition has ended. Then nothing more of the batch is passed to a sink: another activation may own the changes. Any thread.</summary>
    public virtual bool IsEnded => false;

    /// <summary>Dead letters of changes that could not be formatted, until they are taken.</summary>
    protected int Unformatted => _unformatted?.Count ?? 0;

    /// <summary>Formats a change for every route of its table.</summary>
    /// <exception cref="Exception">The process lacks memory. Nothing of the change is in the batch.</exception>
    public void Add(in CompletedChange change, TablePlan plan)
    {
        if (plan.Outputs.Length == 0)
        {
            Unrouted++;
            return;
        }

        if (plan.Events.Skips(change.Change.Operation))
        {
            Skipped++;
            return;
        }

        var unformatted = _unformatted?.Count ?? 0;
        for (var share = _first; share is not null; share = share.Next)
            share.Mark();
        try
        {
            Format(in change, plan);
        }
        catch
        {
            // Some sinks may have events of the change already. They would get them twice when the change is tried again.
            _unformatted?.RemoveRange(unformatted, _unformatted.Count - unformatted);
            for (var share = _first; share is not null; share = share.Next)
                share.CutToMark();
            _scratch?.Clear();
            throw;
        }
    }

    private void Format(in CompletedChange change, TablePlan plan)
    {
        var scratch = _scratch ??= [];
        foreach (var output in plan.Outputs)
        {
            if (change.Change.HasOmitted && plan.LargeValues.Policy == LargeValuePolicy.Refuse)
            {
                GiveUp(change.Change, plan, output, string.Create(CultureInfo.InvariantCulture, $"A value is longer than {plan.LargeValues.Limit} bytes, the limit of large_values."));
                continue;
            }

            scratch.Clear();
            try
            {
                output.Format.Format(in change, scratch);
            }
#pragma warning disable CA1031 // An error of a format must stop only this change. A lack of memory is no error of the format.
            catch (Exception exception) when (!Exhaustion.IsCauseOf(exception))
#pragma warning restore CA1031
            {
                GiveUp(change.Change, plan, output, $"The format '{output.Format.Name}' cannot write this change: {exception.GetType().Name}.");
                continue;
            }

            List<SinkEvent>? smaller = null;
            for (var i = 0; i < output.Targets.Length; i++)
            {
                var target = output.Targets[i];
                var share = Share(target);
                var events = Fit(scratch, target.Outlet.Sink) ? scratch : smaller ??= Smaller(in change, output);
                if (events.Count == 0 || !Fit(events, target.Outlet.Sink))
                    events = scratch;
                var isParked = IsParked(change.Change.Entity, target.Outlet);
                for (var part = 0; part < events.Count; part++)
                {
                    var made = i == 0 && plan.Backfill is null ? events[part] : Copy(events[part], plan.Backfill);
                    made.Part = part;
                    share.Add(made, isParked);
                }
            }
        }

        scratch.Clear();
    }

    /// <summary>The events for each sink.</summary>
    public IEnumerable<SinkShare> Shares
    {
        get
        {
            for (var share = _first; share is not null; share = share.Next)
                yield return share;
        }
    }

    /// <summary>Sends all events to the sinks.</summary>
    /// <param name="before">
    /// Returns the share before that must be done first, of the same entity or lane and for the same sink; null when there is none.
    /// </param>
    public void Send(Func<Outlet, SinkShare?>? before = null)
    {
        if (TakeUnformatted() is { } letters)
            OnUnformatted(letters);

        // One more than the shares, so that the batch cannot finish before all have begun.
        _open = _shares + 1;
        for (var share = _first; share is not null; share = share.Next)
            share.Begin(before?.Invoke(share.Target.Outlet));
        OnDone();
    }

    /// <summary>Called when every event of a share has an outcome. Any thread.</summary>
    public void OnDone()
    {
        var open = Interlocked.Decrement(ref _open);
        if (open == 0)
            Finished();
        else if (open == _shares - 1)
            FirstDone();
    }

    /// <summary>
    /// Called when a share is done of which events were parked or refused for good. The other shares may not be done yet: who waits for room
    /// among the parked events must not keep what others wait for. Any thread; must return quickly.
    /// </summary>
    public virtual void OnSettled(SinkShare share)
    {
    }

    /// <summary>Called when a sink answered after the events were parked. Any thread; must return quickly.</summary>
    public virtual void OnAnsweredLate(SinkShare share)
    {
    }

    /// <summary>Takes from the batch what was reserved for it, to give it back; 0 the second time.</summary>
    public long ReleaseRoom() => Interlocked.Exchange(ref _room, 0);

    /// <summary>
    /// Takes the dead letters of changes that could not be formatted; null when there are none, or when they were taken. <see cref="Send"/>
    /// takes them; so they remain only in a batch without an event.
    /// </summary>
    public IReadOnlyList<DeadLetter>? TakeUnformatted()
    {
        var letters = _unformatted;
        _unformatted = null;
        return letters;
    }

    /// <summary>
    /// Takes the rows for the journals; null when there are none, or when they were taken. They must be in the checkpoint buffer before the
    /// changes count as finished.
    /// </summary>
    public IReadOnlyList<JournalRow>? TakeJournal()
    {
        var journal = _journal;
        _journal = null;
        return journal;
    }

    /// <summary>Whether later events of its entities must be parked at a sink.</summary>
    public bool Parks
    {
        get
        {
            for (var share = _first; share is not null; share = share.Next)
            {
                if (share.Parks)
                    return true;
            }

            return false;
        }
    }

    /// <summary>Called when every event has an outcome at every sink. Any thread; must return quickly.</summary>
    protected abstract void Finished();

    /// <summary>
    /// Called when the first of several sinks is done, and others are not. It may come at the same time as <see cref="Finished"/>. Any
    /// thread; must return quickly.
    /// </summary>
    protected virtual void FirstDone()
    {
    }

    /// <summary>
    /// Called with the dead letters of changes that could not be formatted, before the other events are sent. Must return quickly.
    /// </summary>
    protected abstract void OnUnformatted(IReadOnlyList<DeadLetter> letters);

    /// <summary>Whether earlier events of an entity are parked at a sink. Then later ones are parked behind them.</summary>
    protected virtual bool IsParked(EntityKey entity, Outlet outlet) => false;

    /// <summary>Keeps a change for the journal of its table. Called once the change is part of the batch.</summary>
    protected void Keep(in CompletedChange change) => (_journal ??= []).Add(new JournalRow
    {
        Change = change.Change,
        Before = change.Before,
        BeforeTable = change.BeforeTable,
        BeforeIsKeyOnly = change.Change.BeforeIsKeyOnly && ReferenceEquals(change.Before.ToStorage(), change.Change.Before.ToStorage()),
        After = change.After,
    });

    /// <summary>Gives up on a change before it is formatted: adds a dead letter for each sink of its table.</summary>
    protected void GiveUp(RowChange change, TablePlan plan, string error)
    {
        foreach (var output in plan.Outputs)
            GiveUp(change, plan, output, error);
    }

    private static bool Fit(List<SinkEvent> events, ISink sink)
    {
        if (sink.LargestEvent is not { } limit)
            return true;
        foreach (var made in events)
        {
            if ((made.Key?.Length ?? 0) + (long)(made.Value?.Length ?? 0) > limit)
                return false;
        }

        return true;
    }

    // An update has the row twice, so a row can be inserted and its updates be too large. They then have no row before the change, and of
    // the row after it only what the log has: values that were not changed have the placeholder.
    private static List<SinkEvent> Smaller(in CompletedChange change, TableOutput output)
    {
        var smaller = change with { Before = default, BeforeTable = null, After = change.Change.After };
        var events = new List<SinkEvent>();
        if (change.Change.Operation == ChangeOperation.Update)
            output.Format.Format(in smaller, events);
        return events;
    }

    // There is no event, so the dead letter has only its identity. The row can be read from the entity or from the table.
    private void GiveUp(RowChange change, TablePlan plan, TableOutput output, string error)
    {
        foreach (var target in output.Targets)
        {
            (_unformatted ??= []).Add(new DeadLetter
            {
                Entity = change.Entity,
                Version = change.Version,
                Sink = target.Outlet.Name,
                Topic = plan.Topic,
                Key = null,
                Value = null,
                HasEvent = false,
                SchemaVersion = change.Table.Version,
                Error = error,
            });
        }
    }

    private SinkShare Share(SinkTarget target)
    {
        SinkShare? last = null;
        for (var share = _first; share is not null; share = share.Next)
        {
            if (ReferenceEquals(share.Target.Outlet, target.Outlet))
                return share;
            last = share;
        }

        var added = new SinkShare(this, target);
        _shares++;
        if (last is null)
            _first = added;
        else
            last.Next = added;
        return added;
    }

    // A failure is set on the event of one sink. So each sink gets an object of its own, with the same bytes.
    private static SinkEvent Copy(SinkEvent made, BackfillWork? backfill) => new()
    {
        Topic = made.Topic,
        Entity = made.Entity,
        Key = made.Key,
        Value = made.Value,
        Source = made.Source,
        Version = made.Version,
        Origin = made.Origin,
        SchemaVersion = made.SchemaVersion,
        Headers = backfill is null ? made.Headers : [.. made.Headers ?? [], backfill.ChunkHeader],
    };
}
