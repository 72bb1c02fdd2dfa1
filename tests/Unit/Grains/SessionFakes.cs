using System.Reflection;
using System.Threading.Channels;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Unit.Grains;

/// <summary>A log with the content that the test writes.</summary>
internal sealed class FakeLog : IWalStream
{
    private readonly Channel<WalItem> _items = Channel.CreateUnbounded<WalItem>();

    public void Write(params RowChange[] changes)
    {
        foreach (var change in changes)
            _items.Writer.TryWrite(new WalItem(WalItemKind.Change, change, null, Lsn.None));
    }

    public void Forget(ChangeVersion version, params int[] tables) =>
        _items.Writer.TryWrite(new WalItem(WalItemKind.Forget, null, null, Lsn.None, new ForgottenTables(tables, version)));

    public void Write(WalItemKind kind, long end) => _items.Writer.TryWrite(new WalItem(kind, null, null, new Lsn((ulong)end)));

    public ValueTask<WalItem> Read(CancellationToken cancellation) => _items.Reader.ReadAsync(cancellation);

    public void Confirm(Lsn position)
    {
    }

    public Task SendFeedback(CancellationToken cancellation) => Task.CompletedTask;

    public ValueTask DisposeAsync() => default;
}

/// <summary>A partition that records what it receives, and answers as the test sets it.</summary>
internal sealed class FakePartition : IPartitionGrain
{
    private readonly Lock _gate = new();
    private readonly List<ChangeBatch> _batches = [];

    public Func<EntityKey, StoredRow> Row { get; set; } = _ => new StoredRow(true);

    /// <summary>Questions for rows: epoch and last version given.</summary>
    public List<(long Epoch, ChangeVersion Taken)> Asked { get; } = [];

    public int Opened { get; private set; }

    public ChangeVersion Progress { get; set; }

    public long Generation { get; set; } = 1;

    public ChangeBatch[] Batches
    {
        get
        {
            lock (_gate)
                return [.. _batches];
        }
    }

    public IEnumerable<RowChange> Changes => Batches.SelectMany(b => b.Changes);

    public ValueTask<PartitionOpened> Open(long epoch)
    {
        Opened++;
        return ValueTask.FromResult(new PartitionOpened(Generation, Progress, Progress));
    }

    /// <summary>What it answers batches with; null: it takes them.</summary>
    public Exception? Refuse { get; set; }

    public int Refused { get; private set; }

    /// <summary>It takes no batch, and answers when this completes; null: it answers.</summary>
    public TaskCompletionSource? Silence { get; set; }

    public int Silenced { get; private set; }

    public ValueTask Receive(ChangeBatch batch)
    {
        if (Silence is { } silence)
        {
            Silenced++;
            return new ValueTask(silence.Task);
        }

        if (Refuse is { } refusal)
        {
            Refused++;
            return ValueTask.FromException(refusal);
        }

        lock (_gate)
            _batches.Add(batch);
        return default;
    }

    public List<int> Forgotten { get; } = [];

    /// <summary>Tables of which no replay may send rows.</summary>
    public List<int> HeldReplays { get; } = [];

    public ValueTask<ReplayAnswer> Replay(ReplaySlice slice) => throw new NotSupportedException();

    public ValueTask<ChunkAnswer> Merge(ChunkSlice slice) => throw new NotSupportedException();

    public ValueTask Watch(long backfill, int table, string name, TableWatch watch) => throw new NotSupportedException();

    public ValueTask<string[]?> TakeIncomplete(int table) => throw new NotSupportedException();

    public ValueTask<long> GetGeneration() => ValueTask.FromResult(Generation);

    // The first call finds something under way.
    public ValueTask<bool> HoldReplays(long epoch, int[] tables)
    {
        lock (_gate)
        {
            var isQuiet = tables.All(HeldReplays.Contains);
            HeldReplays.AddRange(tables);
            return ValueTask.FromResult(isQuiet);
        }
    }

    public ValueTask Forget(long epoch, int[] tables, ChangeVersion version)
    {
        lock (_gate)
            Forgotten.AddRange(tables);
        return default;
    }

    public ValueTask Reset(long epoch) => throw new NotSupportedException();

    public ValueTask<LetterRefusal[]> Redeliver(long[] ids, RedeliverAs what) => throw new NotSupportedException();

    public ValueTask<long[]> Discard(long[] ids) => throw new NotSupportedException();

    public ValueTask<int> RetryParked(string sink, string? table, string? key) => throw new NotSupportedException();

    public ValueTask Start() => default;

    public ValueTask<StoredRow> ReadRow(EntityKey entity, long epoch, ChangeVersion lastSent)
    {
        lock (_gate)
            Asked.Add((epoch, lastSent));
        return ValueTask.FromResult(Row(entity));
    }
}

/// <summary>Finds the fake partitions, and entities that answer as those do.</summary>
public class FakeGrains : DispatchProxy
{
    private FakePartition[] _partitions = [];

    internal static IGrainFactory Of(FakePartition[] partitions)
    {
        var factory = Create<IGrainFactory, FakeGrains>();
        ((FakeGrains)(object)factory)._partitions = partitions;
        return factory;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        var key = (string)args![0]!;
        if (targetMethod!.ReturnType != typeof(IEntityGrain))
            return _partitions[PartitionKey.Parse(key).Partition];
        var entity = EntityId.Parse(key).Key;
        return new FakeEntity(_partitions[entity.Partition(_partitions.Length)], entity);
    }

    private sealed class FakeEntity(FakePartition partition, EntityKey key) : IEntityGrain
    {
        public ValueTask<EntityView?> GetState() => throw new NotSupportedException();

        public ValueTask<StoredRow> ReadRow(long epoch, ChangeVersion lastSent) => partition.ReadRow(key, epoch, lastSent);

        public ValueTask<bool> Wake(long generation) => throw new NotSupportedException();
    }
}

/// <summary>A store of which only truncations are asked.</summary>
internal sealed class FakeStore : ICheckpointStore
{
    public Func<CancellationToken, Task> Truncated { get; set; } = _ => Task.CompletedTask;

    public Task Doubt(string source, long epoch, int tableId, CancellationToken cancellation) => throw new NotSupportedException();

    public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation) => Truncated(cancellation);

    public Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation) => throw new NotSupportedException();

    public Task FixPartitions(string source, int partitions, CancellationToken cancellation) => throw new NotSupportedException();

    public Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation) => throw new NotSupportedException();

    public Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation) => throw new NotSupportedException();

    public Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation) => throw new NotSupportedException();

    public Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation) => throw new NotSupportedException();
}
