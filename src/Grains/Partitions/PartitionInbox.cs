using System.Collections.Concurrent;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

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
    /// Discards all answers. New activations of entities are ended, questions are answered with false, and reserved memory is given back.
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
