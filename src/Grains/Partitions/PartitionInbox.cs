using System.Collections.Concurrent;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// Answers for a partition from other threads: from sinks, entities and the store. One turn handles all that are there, in the order in
/// which they arrived. After the end of the partition they are discarded. Safe for concurrent use.
/// </summary>
/// <param name="memory">Takes back what was reserved for answers that are discarded.</param>
/// <param name="schedule">Queues a turn on the partition grain's scheduler.</param>
/// <param name="turn">The turn, which empties the inbox.</param>
internal sealed class PartitionInbox(MemoryBudget memory, Action<Action<object>, object> schedule, Action turn)
{
    private readonly ConcurrentQueue<object> _answers = new();
    private volatile bool _isEnded;
    private int _turnQueued;

    /// <summary>Whether the partition has ended. Any thread.</summary>
    public bool IsEnded => _isEnded;

    /// <summary>Adds an answer, and queues a turn unless one is queued.</summary>
    public void Add(object answer)
    {
        _answers.Enqueue(answer);

        // After the end the activation may not exist any more, and then no turn would run.
        if (_isEnded)
            Discard();
        else if (Interlocked.Exchange(ref _turnQueued, 1) == 0)
            Schedule();
    }

    // If the turn cannot be queued, because the process lacks memory, the next answer queues it. A sweep comes every second.
    private void Schedule()
    {
        try
        {
            schedule(static inbox => ((PartitionInbox)inbox).Turn(), this);
        }
        catch
        {
            Interlocked.Exchange(ref _turnQueued, 0);
            throw;
        }
    }

    /// <summary>Removes the next answer; false when there is none.</summary>
    public bool TryTake(out object? answer) => _answers.TryDequeue(out answer);

    /// <summary>Ends the inbox: answers are discarded from now on.</summary>
    public void End() => _isEnded = true;

    /// <summary>
    /// Discards all answers. New activations of entities are ended, questions are answered with false, and what was reserved is given back.
    /// </summary>
    public void Discard()
    {
        while (_answers.TryDequeue(out var answer))
        {
            if (answer is Woken woken)
                woken.Entity.GrainContext.Deactivate(new DeactivationReason(DeactivationReasonCode.ApplicationRequested, "Its partition ended."));
            else if (answer is Question question)
                question.Answer.TrySetResult(false);
            else if (answer is EventBatch events)
                memory.Give(events.ReleaseRoom());
            else if (answer is ShareSettled settled)
                settled.Share.Release();
            else if (answer is Loaded loaded)
                memory.Give(loaded.Room);
            else if (answer is LaneRoom room)
                memory.Give(room.Bytes);
        }
    }

    private void Turn()
    {
        Interlocked.Exchange(ref _turnQueued, 0);
        if (_isEnded)
            Discard();
        else
            turn();
    }
}

/// <summary>An answer that is only for the roster.</summary>
internal abstract record RosterAnswer
{
    /// <summary>Passes the answer to the roster.</summary>
    public abstract void Apply(EntityRoster roster);
}

/// <inheritdoc cref="EntityRoster.Woken" />
internal sealed record Woken(EntityGrain Entity) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Woken(Entity);
}

/// <inheritdoc cref="EntityRoster.Gone" />
internal sealed record Gone(EntityGrain Entity, FirstAndRest<PendingChange> Remaining) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Gone(Entity, Remaining);
}

/// <inheritdoc cref="EntityRoster.Returned" />
internal sealed record Returned(EntityWork Work) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Returned(Work);
}

/// <inheritdoc cref="EntityRoster.Sized" />
internal sealed record Sized(EntityGrain Entity, int Bytes) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Sized(Entity, Bytes);
}

/// <inheritdoc cref="EntityRoster.Needless" />
internal sealed record Needless(EntityGrain Entity) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Needless(Entity);
}

/// <inheritdoc cref="EntityRoster.Loaded" />
internal sealed record Loaded(EntityPresence Presence, EntityState? State, long Room) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Loaded(Presence, State, Room);
}

/// <inheritdoc cref="EntityRoster.WakeFailed" />
internal sealed record WakeFailed(EntityPresence Presence) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.WakeFailed(Presence);
}

/// <inheritdoc cref="EntityRoster.Retry" />
internal sealed record RetryDue(EntityPresence Presence) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Retry(Presence);
}

/// <inheritdoc cref="EntityRoster.Sweep" />
internal sealed record SweepDue(TimeSpan Idle) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => roster.Sweep(Idle);
}

/// <summary>An entity's activation failed outside an apply. The turn that takes it fails too, which restarts the partition.</summary>
internal sealed record EntityFault(Exception Exception) : RosterAnswer
{
    /// <inheritdoc />
    public override void Apply(EntityRoster roster) => throw new InvalidOperationException("An entity failed outside an apply.", Exception);
}

/// <summary>The first of several sinks is done with a batch of a lane.</summary>
internal sealed record LaneFirstDone(LaneBatch Batch);

/// <summary>An answer that is only for the parked entities.</summary>
internal abstract record ParkedAnswer
{
    /// <summary>Passes the answer to the parked entities.</summary>
    public abstract void Apply(ParkedEntities parked);
}

/// <summary>Dead letters of changes that could not be formatted.</summary>
internal sealed record LettersMade(IReadOnlyList<DeadLetter> Letters);

/// <inheritdoc cref="ParkedEntities.Take" />
internal sealed record ShareSettled(SinkShare Share) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.Take(Share);
}

/// <inheritdoc cref="ParkedEntities.AnsweredLate" />
internal sealed record AnsweredLate(SinkShare Share) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.AnsweredLate(Share);
}

/// <inheritdoc cref="ParkedEntities.TryDue" />
internal sealed record ParkedDue : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.TryDue();
}

/// <inheritdoc cref="ParkedEntities.Found" />
/// <param name="Outlet">The way to the sink.</param>
/// <param name="Due">The entities that were read.</param>
/// <param name="Events">Their events; null when they could not be read.</param>
internal sealed record ParkedFound(Outlet Outlet, List<ParkedEntity> Due, IReadOnlyList<ParkedEvent>? Events) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked)
    {
        // Those that are not tried now wait for their destination, and are not read again before.
        var oldest = (Events ?? []).GroupBy(e => e.Event.Entity).ToDictionary(g => g.Key, g => g.First().Event);
        foreach (var entity in Due)
            entity.Destination = oldest.TryGetValue(entity.Key, out var made) ? Outlet.DestinationOf(made) : null;
        parked.Found(Outlet, Due, Events);
    }
}

/// <inheritdoc cref="ParkedEntities.Tried" />
internal sealed record ParkedTried(ParkedAttempt Attempt) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.Tried(Attempt);
}

/// <inheritdoc cref="ParkedEntities.Unparked" />
internal sealed record EntityUnparked(EntityKey Entity, Outlet Outlet, bool IsUnparked) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.Unparked(Entity, Outlet, IsUnparked);
}

/// <inheritdoc cref="ParkedEntities.Joined" />
internal sealed record EntityJoined(EntityKey Entity, Outlet Outlet, bool IsJoined, KnownState? State) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.Joined(Entity, Outlet, IsJoined, State);
}

/// <inheritdoc cref="ParkedEntities.StateRead" />
internal sealed record LetterStateRead(ParkedEntity Entity, ParkedPosition Newest, KnownState? State) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.StateRead(Entity, Newest, State);
}

/// <inheritdoc cref="ParkedEntities.HistoriesRead" />
internal sealed record HistoryPagesRead(IReadOnlyList<ParkedEntity> Entities, IReadOnlyList<HistoryEvents>? Pages, string? Error) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.HistoriesRead(Entities, Pages, Error);
}

/// <inheritdoc cref="ParkedEntities.HistorySent" />
internal sealed record HistoryPageSent(ParkedAttempt Attempt) : ParkedAnswer
{
    /// <inheritdoc />
    public override void Apply(ParkedEntities parked) => parked.HistorySent(Attempt);
}

/// <summary>A question whether the partition has accepted what a reader sent to it (<see cref="IEntityHost.HasTaken"/>).</summary>
internal sealed record Question(long Epoch, ChangeVersion LastSent)
{
    /// <summary>The answer.</summary>
    public TaskCompletionSource<bool> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>There is room for the next batch of a lane.</summary>
internal sealed record LaneRoom(TableLane Lane, long Bytes);

/// <summary>It is time to try again to make the next batch of a lane.</summary>
internal sealed record LaneRetry(TableLane Lane);
