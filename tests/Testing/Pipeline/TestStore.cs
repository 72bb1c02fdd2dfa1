using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>A control database in memory, of one source with one partition.</summary>
internal sealed class TestStore : ICheckpointStore, IStateQueries
{
    public Dictionary<StateKey, EntityState> States { get; } = [];

    public (ChangeVersion Progress, ChangeVersion High) Claims { get; private set; }

    public List<DeadLetter> DeadLetters { get; } = [];

    /// <summary>Reads see what there is now, and answer when this is completed; null: at once.</summary>
    public TaskCompletionSource? Gate { get; set; }

    /// <summary>Why commits fail; null: they succeed.</summary>
    public Exception? Trouble { get; set; }

    /// <summary>How many states were read.</summary>
    public int Reads { get; private set; }

    /// <summary>Takes progress back, as if checkpoints had gone on while one delivery stayed open.</summary>
    public void Forget() => Claims = (ChangeVersion.None, Claims.High);

    public PartitionClaim Claim() => new(1, Claims.Progress, Claims.High);

    public Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation)
    {
        if (Trouble is { } trouble)
            throw trouble;
        foreach (var partition in checkpoint.Partitions)
        {
            Claims = (partition.Progress, partition.High);
            DeadLetters.AddRange(partition.DeadLetters);
            foreach (var (key, state) in partition.States)
            {
                var id = new StateKey(state.Table.TableId, key.Key);
                if (!States.TryGetValue(id, out var before) || before.Version < state.Version)
                    States[id] = state;
            }
        }

        return Task.FromResult<IReadOnlyList<EntityKey>>([]);
    }

    public async Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation) =>
        key.Table == Sample.Orders.FullName ? (await ReadStates([new StateKey(Sample.Orders.TableId, key.Key)], cancellation))[0] : null;

    /// <summary>How many rows were read of which only the size had been asked for before.</summary>
    public int LargeReads { get; private set; }

    public async Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation)
    {
        Reads += keys.Count;
        var states = keys.Select(k => States.GetValueOrDefault(k)).ToArray();
        if (Gate is { } gate)
            await gate.Task;
        return [.. states.Select(s => new FoundState(s?.Row.Size ?? 0, s is null || s.Row.Size > mostBytes ? null : s))];
    }

    public async Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation)
    {
        LargeReads += keys.Count;
        var states = keys.Select(k => States.GetValueOrDefault(k)).ToArray();
        if (Gate is { } gate)
            await gate.Task;
        return states;
    }

    public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation)
    {
        foreach (var key in States.Where(s => s.Key.TableId == tableId && s.Value.Version <= version).Select(s => s.Key).ToList())
            States.Remove(key);
        return Task.CompletedTask;
    }

    public Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation) => Task.FromResult(1L);

    public Task FixPartitions(string source, int partitions, CancellationToken cancellation) => Task.CompletedTask;

    public Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation) => Task.FromResult(Claim());
}
