using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
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

    private readonly SourceRuntimes _sources;
    private readonly IEntityWaker _waker;
    private readonly EntityHosts _hosts;
    private readonly PartitionHomes _homes;
    private readonly ILogger<PartitionGrain> _logger;
    private SourceRuntime _source = null!;
    private Partition _partition = null!;
    private long _expected;
    private volatile bool _fenced;

    public PartitionGrain(SourceRuntimes sources, IEntityWaker waker, EntityHosts hosts, PartitionHomes homes, ILogger<PartitionGrain> logger)
    {
        _sources = sources;
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
        var claim = await _source.Store.Claim(source, index, RuntimeIdentity, cancellationToken);
        var scheduler = GrainContext.Scheduler;
        _partition = new Partition(_source, index, claim, _waker, (turn, state) => scheduler.QueueAction(s => Turn(turn, s), state));
        _hosts.Add(source, index, _partition);
        _source.Checkpointer.Register(_partition, Fence);
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
            _partition.Take(batch.Changes);
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
    public ValueTask Forget(long epoch, int[] tables)
    {
        ThrowIfFenced();
        ThrowIfStale(epoch);
        _partition.Forget(tables);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public ValueTask Reset(long epoch)
    {
        ThrowIfStale(epoch);
        Fence();
        return ValueTask.CompletedTask;
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
