using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The grain of a <see cref="Partition"/>. The generation in the store makes sure that only the newest activation can write. It accepts
/// batches in sequence, and writes a checkpoint before it moves. It is reentrant, because every step of the partition is synchronous on
/// the grain's scheduler.
/// </summary>
[PartitionPlacement]
[KeepAlive]
[Reentrant]
internal sealed partial class PartitionGrain : Grain, IPartitionGrain
{
    /// <summary>Time for changes in progress to finish before a planned move. The rest is streamed again.</summary>
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(5);

    /// <summary>Time for dead letters to be parked, before the call is answered.</summary>
    private static readonly TimeSpan RedeliverTime = TimeSpan.FromSeconds(1);

    /// <summary>Time for a part of a replay, before the call is answered.</summary>
    private static readonly TimeSpan ReplayTime = TimeSpan.FromSeconds(1);

    private readonly SourceRuntimes _sources;
    private readonly SinkPauses _pauses;
    private readonly IEntityWaker _waker;
    private readonly EntityHosts _hosts;
    private readonly PartitionHomes _homes;
    private readonly ILogger<PartitionGrain> _logger;
    private SourceRuntime _source = null!;
    private Partition _partition = null!;
    private long _expected;
    private volatile bool _fenced;

    public PartitionGrain(SourceRuntimes sources, SinkPauses pauses, IEntityWaker waker, EntityHosts hosts, PartitionHomes homes, ILogger<PartitionGrain> logger)
    {
        _sources = sources;
        _pauses = pauses;
        _waker = waker;
        _hosts = hosts;
        _homes = homes;
        _logger = logger;
    }

    /// <inheritdoc />
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var (source, index) = PartitionKey.Parse(this.GetPrimaryKeyString());
        if (_homes.HomeElsewhere(source, index) is { } home)
            throw new InvalidOperationException($"{source}: partition {index} does not start on this silo: its home is {home}. Call again.");
        _source = _sources.Get(source);
        await _pauses.EnsureRead(cancellationToken);
        var claim = await _source.Store.Claim(source, index, RuntimeIdentity, cancellationToken);
        var parked = await _source.Parked.ReadEntities(source, index, cancellationToken);
        var fence = await _source.Backfills.Fence(source, cancellationToken);
        var scheduler = GrainContext.Scheduler;
        _partition = new Partition(_source, index, claim, parked, _waker, (turn, state) => scheduler.QueueAction(s => Turn(turn, s), state), fence);
        _hosts.Add(source, index, _partition);
        _source.Checkpointer.Register(_partition, Fence);
        _source.Outlets.Add(_partition);
        _source.Figures.PartitionStarted();
        _homes.Register(this, source, index, () => scheduler.QueueAction(static grain => ((PartitionGrain)grain).DeactivateOnIdle(), this));
        LogStarted(_logger, source, index, claim.Generation, claim.Progress);
    }

    /// <inheritdoc />
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_partition is null)
            return;
        _homes.Unregister(this);
        try
        {
            if (!_fenced)
            {
                await _partition.Drain().WaitAsync(DrainTime, _source.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                _partition.End();
                await _source.Checkpointer.CommitNow(cancellationToken);
            }
        }
#pragma warning disable CA1031 // It ends in any case. What is not durable is streamed again, and the store refuses writes of a stale activation.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogUnsaved(_logger, _source.Name, _partition.Index, exception.Message);
        }

        _source.Checkpointer.Unregister(_partition);
        _source.Outlets.Remove(_partition);
        _source.Figures.PartitionEnded();
        _partition.Close();
        _hosts.Remove(_source.Name, _partition.Index, _partition);
        LogEnded(_logger, _source.Name, _partition.Index, reason.ReasonCode);
    }

    /// <inheritdoc />
    public ValueTask Start() => default;

    /// <inheritdoc />
    public ValueTask<PartitionOpened> Open(long epoch)
    {
        ThrowIfFenced();
        ThrowIfStale(epoch);
        _partition.Epoch = epoch;
        _partition.ReleaseReplays();
        _expected = 1;
        return ValueTask.FromResult(new PartitionOpened(_partition.Generation, _partition.Accepted, _partition.Buffer.Durable));
    }

    /// <inheritdoc />
    public ValueTask Receive(ChangeBatch batch)
    {
        ThrowIfFenced();
        ThrowIfStale(batch.Epoch);
        if (batch.Epoch > _partition.Epoch || batch.Generation != _partition.Generation)
        {
            throw new BatchOutOfSequenceException(
                $"{_source.Name}: a batch of epoch {batch.Epoch} for generation {batch.Generation} came to a partition of epoch {_partition.Epoch} and generation {_partition.Generation}; open it.");
        }

        if (batch.Sequence != _expected)
            throw new BatchOutOfSequenceException($"{_source.Name}: batch {batch.Sequence} came where {_expected} was next.");
        _expected++;
        try
        {
            _partition.Take(batch.Changes, batch.SentMicros);
        }
        catch (Exception exception)
        {
            LogFault(_logger, exception, _source.Name, _partition.Index);
            Fence();
            throw;
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public ValueTask Forget(long epoch, int[] tables, ChangeVersion version)
    {
        ThrowIfFenced();
        ThrowIfStale(epoch);
        _partition.Forget(tables, version);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public ValueTask Reset(long epoch)
    {
        ThrowIfStale(epoch);
        Fence();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public async ValueTask<LetterRefusal[]> Redeliver(long[] ids, RedeliverAs what)
    {
        ThrowIfFenced();
        IReadOnlyList<StoredLetter> letters;
        try
        {
            letters = await _source.Letters.Claim(_source.Name, ids, _partition.Generation, CancellationToken.None);
        }
        catch (StateUnavailableException unavailable)
        {
            // The claim may be stored all the same.
            _ = Release(ids);
            throw new EntityUnavailableException(unavailable.Message);
        }

        ThrowIfFenced();
        var taken = letters.Select(l => l.Summary.Id).ToHashSet();
        IEnumerable<LetterRefusal> refused = ids.Where(id => !taken.Contains(id)).Select(id => new LetterRefusal(id, "It does not exist any more, or it is being delivered again already."));
        var parked = GiveBack(_partition.Redeliver(letters, what));
        await ((Task)parked).WaitAsync(RedeliverTime, _source.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        if (!parked.IsCompletedSuccessfully)
            return [.. refused];
        return [.. refused, .. await parked];
    }

    private async Task<IReadOnlyList<LetterRefusal>> GiveBack(Task<IReadOnlyList<LetterRefusal>> parked)
    {
        var refused = await parked;
        if (refused.Count > 0)
            await Release([.. refused.Select(a => a.Id)]);
        return refused;
    }

    /// <inheritdoc />
    public async ValueTask<long[]> Discard(long[] ids)
    {
        ThrowIfFenced();
        IReadOnlyList<LetterPlace> discarded;
        try
        {
            discarded = await _source.Letters.Discard(_source.Name, ids, _partition.Generation, CancellationToken.None);
        }
        catch (StateUnavailableException unavailable)
        {
            throw new EntityUnavailableException(unavailable.Message);
        }

        if (!_fenced)
            _partition.Discarded(discarded);
        return [.. discarded.Select(d => d.Id)];
    }

    /// <inheritdoc />
    public ValueTask<int> RetryParked(string sink, string? table, string? key)
    {
        ThrowIfFenced();
        return ValueTask.FromResult(_partition.RetryParked(sink, table, key));
    }

    /// <inheritdoc />
    public async ValueTask<ReplayAnswer> Replay(ReplaySlice slice)
    {
        ThrowIfFenced();
        if (_partition.FindReplay(slice) is not { } work)
        {
            if (_source.Routes.TargetOf(slice.Table, slice.Sink) is not { } target)
                return new ReplayAnswer { Problem = $"No route leads from {_source.Name}.{slice.Table} to sink '{slice.Sink}' any more. Configure the sink and its route again, and start another replay." };
            if (await _source.Schemas.FindLatest(_source.Name, slice.Table, CancellationToken.None) is not { } table)
                return new ReplayAnswer { Problem = $"Nothing is known of the table {_source.Name}.{slice.Table} any more." };
            var mode = _source.Routes.Plan(table).Mode;
            if (slice.Journal is not null && mode == EntityMode.Off)
                return new ReplayAnswer { Problem = $"{_source.Name}.{slice.Table} has no entities any more: 'entities' is 'off', or the table has no key." };
            if (slice.Journal is null && mode != EntityMode.Row)
                return new ReplayAnswer { Problem = $"The rows of {_source.Name}.{slice.Table} are not stored any more: 'entities' is not 'row', or the table has no key." };
            ThrowIfFenced();
            work = _partition.Replay(slice, table, target);
        }

        await work.Done.Task.WaitAsync(ReplayTime, _source.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        ThrowIfFenced();
        if (!work.Done.Task.IsCompleted)
            return new ReplayAnswer { Waiting = work.Target.Outlet.IsOpen ? $"Sink '{slice.Sink}' is out of reach: {work.Target.Outlet.Status.LastError}" : null };
        await work.Done.Task;
        _partition.ReplayAnswered(slice);
        return new ReplayAnswer
        {
            IsDone = true,
            Sent = work.Finished[(int)ReplayedAs.Sent],
            Absent = work.Finished[(int)ReplayedAs.Absent],
            WithoutRow = work.Finished[(int)ReplayedAs.WithoutRow],
            Parked = work.Parked,
            Refused = work.Refused,
        };
    }

    /// <inheritdoc />
    public async ValueTask<ChunkAnswer> Merge(ChunkSlice slice)
    {
        ThrowIfFenced();
        if (_partition.FindRows(slice.At) is not { } work)
        {
            // What a truncation or another loss of rows has told is only with the activation that was told.
            if (slice.Generation != _partition.Generation)
                return new ChunkAnswer { MustReadAgain = true };
            if (_partition.IsForgotten(slice.Table.TableId))
                return new ChunkAnswer { IsForgotten = true };
            if (_partition.MayBeOutdated(slice))
                return new ChunkAnswer { MustReadAgain = true };
            if (!slice.HasRows)
                return await AwaitRoom(slice.At);
            if (_source.Routes.Plan(slice.Table).Mode == EntityMode.Off)
                return new ChunkAnswer { Problem = $"The rows of {_source.Name}.{slice.Table.FullName} cannot be merged with the stream: 'entities' is 'off', or the table has no key." };
            if (_partition.TakeRoom(slice) is not null)
                return new ChunkAnswer { IsWaitingForRoom = true };
            work = _partition.Merge(slice);
        }

        await work.Done.Task.WaitAsync(ReplayTime, _source.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        ThrowIfFenced();
        if (!work.Done.Task.IsCompleted)
            return new ChunkAnswer { Waiting = _source.Checkpointer.Trouble is { } trouble ? $"The control database takes no checkpoint: {trouble}" : null };
        _partition.RowsAnswered(slice.At);
        if (!work.Done.Task.IsCompletedSuccessfully)
            return new ChunkAnswer { MustReadAgain = true, IsForgotten = _partition.IsForgotten(slice.Table.TableId) };
        return new ChunkAnswer
        {
            IsDone = true,
            Sent = work.Finished[(int)RowMerged.Sent],
            Unchanged = work.Finished[(int)RowMerged.Unchanged],
            Created = work.Finished[(int)RowMerged.Created],
            Updated = work.Finished[(int)RowMerged.Updated],
            Deleted = work.Finished[(int)RowMerged.Deleted],
            Again = [.. work.Again],
            Parked = work.Parked,
            Refused = work.Refused,
        };
    }

    /// <inheritdoc />
    public ValueTask Watch(long backfill, int table, string name, TableWatch watch)
    {
        ThrowIfFenced();
        _partition.Watch(backfill, table, name, watch);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public ValueTask<string[]?> TakeIncomplete(int table)
    {
        ThrowIfFenced();
        return ValueTask.FromResult(_partition.TakeIncomplete(table));
    }

    /// <inheritdoc />
    public ValueTask<long> GetGeneration()
    {
        ThrowIfFenced();
        return ValueTask.FromResult(_partition.Generation);
    }

    /// <inheritdoc />
    public async ValueTask<bool> HoldReplays(long epoch, int[] tables)
    {
        ThrowIfFenced();
        ThrowIfStale(epoch);
        var quiet = _partition.HoldReplays(tables);
        await quiet.WaitAsync(ReplayTime, _source.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        ThrowIfFenced();
        return quiet.IsCompletedSuccessfully;
    }

    // The rows are not here meanwhile, so they need no memory.
    private async Task<ChunkAnswer> AwaitRoom(ChunkSlice.Place at)
    {
        if (_partition.FindRoom(at) is not { } waiting)
            return new ChunkAnswer { MustReadAgain = true };
        await waiting.Room.WaitAsync(ReplayTime, _source.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        ThrowIfFenced();
        return new ChunkAnswer { IsWaitingForRoom = !waiting.Room.IsCompleted, WantsRows = waiting.Room.IsCompletedSuccessfully, MustReadAgain = waiting.Room.IsCanceled };
    }

    private async Task Release(long[] ids)
    {
        try
        {
            await _source.Letters.Release(ids, _partition.Generation, CancellationToken.None);
        }
        catch (StateUnavailableException)
        {
            // The next activation of the partition can claim them.
        }
    }

    // An error here is a defect of this product, or the store has unexpected data. The turn is only partly done, so the activation ends.
    // The reader sends what was not durable to the next activation.
    private void Turn(Action<object> turn, object state)
    {
        try
        {
            turn(state);
        }
#pragma warning disable CA1031 // See above.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogFault(_logger, exception, _source.Name, _partition.Index);
            Fence();
        }
    }

    // Calls that arrive before the activation has ended are refused. The reader then opens the next activation.
    private void ThrowIfFenced()
    {
        if (_fenced)
            throw new InvalidOperationException($"{_source.Name}: this activation of partition {_partition.Index} has ended.");
    }

    private void ThrowIfStale(long epoch)
    {
        if (epoch < _partition.Epoch)
            throw new StaleReaderException($"{_source.Name}: a reader of epoch {epoch} came after one of epoch {_partition.Epoch}.");
    }

    private void Fence()
    {
        _fenced = true;
        _partition.End();
        _source.Checkpointer.Unregister(_partition);
        GrainContext.Scheduler.QueueAction(static grain => ((PartitionGrain)grain).DeactivateOnIdle(), this);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: partition {Partition} started, generation {Generation}, progress {Progress}")]
    private static partial void LogStarted(ILogger logger, string source, int partition, long generation, ChangeVersion progress);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: partition {Partition} ended: {Reason}")]
    private static partial void LogEnded(ILogger logger, string source, int partition, DeactivationReasonCode reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: partition {Partition} left with changes that are not durable; they are streamed again: {Error}")]
    private static partial void LogUnsaved(ILogger logger, string source, int partition, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Source}: partition {Partition} failed and restarts")]
    private static partial void LogFault(ILogger logger, Exception exception, string source, int partition);
}
