using System.Collections;
using System.Globalization;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// Events of some changes, in order, one list for each sink. It is filled on one thread and then sent. When every sink has answered for
/// every event, <see cref="Finished"/> is called once, from any thread.
/// </summary>
/// <param name="room">Bytes reserved for the batch in the <see cref="Budgets.MemoryBudget"/>; 0 when it needs few.</param>
internal abstract class EventBatch(long room = 0)
{
    private static readonly List<DeadLetter> None = [];

    [ThreadStatic] private static List<SinkEvent>? _scratch;

    private SinkShare? _first;
    private List<DeadLetter>? _unformatted;
    private List<DeadLetter>? _refused;
    private int _open;
    private long _room = room;

    /// <summary>Whether there is no event for any sink.</summary>
    public bool IsEmpty => _first is null;

    /// <summary>Changes that no route selects.</summary>
    public int Unrouted { get; private set; }

    /// <summary>Changes that a route selects and whose operation is skipped.</summary>
    public int Skipped { get; private set; }

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
            for (var i = 0; i < output.Sinks.Length; i++)
            {
                var sink = output.Sinks[i];
                var share = Share(sink);
                var events = Fit(scratch, sink) ? scratch : smaller ??= Smaller(in change, output);
                if (events.Count == 0 || !Fit(events, sink))
                    events = scratch;
                foreach (var made in events)
                    share.Add(i == 0 ? made : Copy(made));
            }
        }

        scratch.Clear();
    }

    /// <summary>Passes all events to the sinks.</summary>
    public void Send()
    {
        // Starts with one, so that the batch cannot finish before all events were passed on.
        _open = 1;
        for (var share = _first; share is not null; share = share.Next)
        {
            if (share.Count == 0)
                continue;
            Interlocked.Increment(ref _open);
            share.Deliver();
        }

        OnAnswered();
    }

    /// <summary>Takes from the batch what was reserved for it, to give it back; 0 the second time.</summary>
    public long ReleaseRoom() => Interlocked.Exchange(ref _room, 0);

    /// <summary>
    /// The events that a sink refused for good or that a format could not write, as dead letters. To be asked only when every sink has
    /// answered, and by one thread at a time.
    /// </summary>
    public IReadOnlyList<DeadLetter> Refused => _refused ??= FindRefused();

    /// <summary>Called when every sink has answered. Any thread; must return quickly.</summary>
    protected abstract void Finished();

    private List<DeadLetter> FindRefused()
    {
        var letters = _unformatted;
        for (var share = _first; share is not null; share = share.Next)
        {
            if (share.HasRefused)
                letters = [.. letters ?? [], .. share.Refused()];
        }

        return letters ?? None;
    }

    private void OnAnswered()
    {
        if (Interlocked.Decrement(ref _open) == 0)
            Finished();
    }

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
        foreach (var sink in output.Sinks)
        {
            (_unformatted ??= []).Add(new DeadLetter
            {
                Entity = change.Entity,
                Version = change.Version,
                Sink = sink.Name,
                Topic = plan.Topic,
                Key = null,
                Value = null,
                Error = error,
            });
        }
    }

    private SinkShare Share(ISink sink)
    {
        SinkShare? last = null;
        for (var share = _first; share is not null; share = share.Next)
        {
            if (ReferenceEquals(share.Sink, sink))
                return share;
            last = share;
        }

        var added = new SinkShare(this, sink);
        if (last is null)
            _first = added;
        else
            last.Next = added;
        return added;
    }

    // A refusal is set on the event of one sink. So each sink gets an object of its own, with the same bytes.
    private static SinkEvent Copy(SinkEvent made) => new()
    {
        Topic = made.Topic,
        Entity = made.Entity,
        Key = made.Key,
        Value = made.Value,
        Source = made.Source,
        Version = made.Version,
        Origin = made.Origin,
        SchemaVersion = made.SchemaVersion,
        Headers = made.Headers,
    };

    /// <summary>
    /// The events for one sink: the delivery, which is also the list of its events. Most deliveries have one event and need no list object.
    /// </summary>
    private sealed class SinkShare(EventBatch batch, ISink sink) : Delivery, IReadOnlyList<SinkEvent>
    {
        /// <summary>Wait before a delivery is tried again for which there was no memory.</summary>
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

        private FirstAndRest<SinkEvent> _events;
        private int _marked;
        private int _isCompleted;

        public ISink Sink { get; } = sink;

        public SinkShare? Next { get; set; }

        public override IReadOnlyList<SinkEvent> Events => this;

        public int Count => _events.Count;

        public bool HasRefused
        {
            get
            {
                for (var i = 0; i < Count; i++)
                {
                    if (this[i].Refusal is not null)
                        return true;
                }

                return false;
            }
        }

        public SinkEvent this[int index] => _events[index];

        public void Add(SinkEvent made) => _events.Add(made);

        public void Mark() => _marked = Count;

        public void CutToMark() => _events.CutTo(_marked);

        // A sink must not throw for an error of its destination. If it throws, it has not accepted the delivery. Without memory, the delivery
        // is tried again later. Its entity has no other delivery meanwhile, so the order stays.
        public void Deliver()
        {
            try
            {
                Sink.Deliver(this);
            }
            catch (Exception exception) when (Exhaustion.IsCauseOf(exception))
            {
                _ = DeliverLater();
            }
#pragma warning disable CA1031 // See above.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                foreach (var made in this)
                    made.Refusal ??= $"The sink failed to accept the event: {exception.GetType().Name}.";
                Complete();
            }
        }

        private async Task DeliverLater()
        {
            await Task.Delay(Pause, TimeProvider.System).ConfigureAwait(false);
            Deliver();
        }

        public IEnumerable<DeadLetter> Refused()
        {
            foreach (var made in this)
            {
                if (made.Refusal is { } error)
                {
                    yield return new DeadLetter
                    {
                        Entity = made.Entity,
                        Version = made.Version,
                        Sink = Sink.Name,
                        Topic = made.Topic,
                        Key = made.Key,
                        Value = made.Value,
                        Error = error,
                    };
                }
            }
        }

        public override void Complete()
        {
            if (Interlocked.Exchange(ref _isCompleted, 1) == 0)
                batch.OnAnswered();
        }

        public IEnumerator<SinkEvent> GetEnumerator()
        {
            for (var i = 0; i < Count; i++)
                yield return this[i];
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
