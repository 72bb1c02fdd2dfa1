using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>Backfills in memory.</summary>
public sealed class MemoryBackfills : IBackfillStore
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, StoredBackfill> _backfills = [];
    private readonly Dictionary<string, Lsn> _fences = [];
    private long _chunks;

    /// <summary>Whether it does not answer.</summary>
    public bool IsDown { get; set; }

    /// <summary>How many chunks it refuses, as when its disk is full.</summary>
    public int RefusedChunks { get; set; }

    /// <summary>What backfills waited for, in the order in which it was stored.</summary>
    public List<string?> Waited { get; } = [];

    /// <summary>Whether nobody may run a backfill, so that each stays as it is.</summary>
    public bool IsIdle { get; set; }

    /// <summary>All backfills, the oldest first.</summary>
    public IReadOnlyList<StoredBackfill> All => Do(() => _backfills.Values.ToList());

    /// <summary>Whether states are stored of the tables.</summary>
    public bool HasStored { get; set; } = true;

    public Task<(StoredBackfill Backfill, bool IsNew)> Add(StoredBackfill backfill, CancellationToken cancellation) => Run(() =>
    {
        var tables = backfill.Tables.Select(t => t.Table).ToHashSet();
        if (_backfills.Values.FirstOrDefault(b => IsOpen(b) && b.Source == backfill.Source && b.Tables.Any(t => tables.Contains(t.Table))) is { } other)
            return (other, false);
        var added = backfill with { Id = _backfills.Count + 1, State = BackfillState.Running, CreatedAt = DateTimeOffset.UnixEpoch, UpdatedAt = DateTimeOffset.UnixEpoch };
        _backfills.Add(added.Id, added);
        return (added, true);
    });

    public Task<IReadOnlyList<string>> WithoutInitial(string source, IReadOnlyList<string> tables, CancellationToken cancellation) => Run<IReadOnlyList<string>>(() =>
    [
        .. tables.Where(t => !_backfills.Values.Any(b => b.Kind == BackfillKind.Initial && b.Source == source && b.Tables.Any(x => x.Table == t))),
    ]);

    /// <summary>Tables of which changes are missing.</summary>
    public HashSet<string> Missed { get; } = [];

    public Task<IReadOnlyList<string>> AfterGap(string source, IReadOnlyList<string> tables, CancellationToken cancellation) =>
        Run<IReadOnlyList<string>>(() => [.. tables.Where(Missed.Contains)]);

    public Task<IReadOnlyList<StoredBackfill>> List(long before, int limit, CancellationToken cancellation) => Run<IReadOnlyList<StoredBackfill>>(() =>
        [.. _backfills.Values.Where(b => before == 0 || b.Id < before).Reverse().Take(limit)]);

    public Task<StoredBackfill?> Get(long id, CancellationToken cancellation) => Run(() => _backfills.GetValueOrDefault(id));

    public Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => Run<IReadOnlyList<long>>(() =>
        [.. _backfills.Values.Where(b => b.State == BackfillState.Running).Select(b => b.Id)]);

    public Task<IReadOnlyList<long>> Ahead(StoredBackfill backfill, CancellationToken cancellation) => Run<IReadOnlyList<long>>(() =>
    [
        .. _backfills.Values.Where(b => b.Id < backfill.Id && b.Source == backfill.Source && b.State == BackfillState.Running && b.Tables.Any(t => t.Keys is null)).Select(b => b.Id),
    ]);

    public Task<bool> Change(long id, IReadOnlyCollection<BackfillState> from, BackfillState to, CancellationToken cancellation) => Run(() =>
    {
        if (!_backfills.TryGetValue(id, out var backfill) || !from.Contains(backfill.State))
            return false;
        _backfills[id] = backfill with { State = to, EndedAt = to == BackfillState.Cancelled ? DateTimeOffset.UnixEpoch : null };
        return true;
    });

    public Task<StoredBackfill?> Begin(long id, CancellationToken cancellation) => Run(() =>
        _backfills.TryGetValue(id, out var backfill) && backfill.State == BackfillState.Running && !IsIdle ? _backfills[id] = backfill with { Run = backfill.Run + 1 } : null);

    public Task<BackfillState?> Save(StoredBackfill backfill, BackfillTable table, string? waiting, double speed, CancellationToken cancellation) => Run<BackfillState?>(() =>
    {
        if (_backfills[backfill.Id] is var stored && stored.Run != backfill.Run)
            return null;
        Waited.Add(waiting);
        _backfills[backfill.Id] = stored with { Waiting = waiting, Speed = speed, Tables = [.. stored.Tables.Select(t => t.Place == table.Place ? table : t)] };
        return stored.State;
    });

    public Task End(StoredBackfill backfill, string? error, CancellationToken cancellation) => Run(() =>
    {
        if (_backfills[backfill.Id] is var stored && stored.Run == backfill.Run && stored.State == BackfillState.Running)
        {
            _backfills[backfill.Id] = stored with
            {
                State = error is null ? BackfillState.Done : BackfillState.Failed, Error = error, Waiting = null, EndedAt = DateTimeOffset.UnixEpoch,
            };
        }

        return true;
    });

    public Task<long> AddChunk(string source, ChunkSnapshot snapshot, CancellationToken cancellation) => Run(() =>
    {
        if (RefusedChunks > 0)
        {
            RefusedChunks--;
            throw new StateUnavailableException("The disk is full.", new IOException());
        }

        if (!_fences.TryGetValue(source, out var fence) || snapshot.Fence > fence)
            _fences[source] = snapshot.Fence;
        return ++_chunks;
    });

    public Task<bool> HasStates(int table, CancellationToken cancellation) => Run(() => HasStored);

    public Task<Lsn> Fence(string source, CancellationToken cancellation) => Run(() => _fences.GetValueOrDefault(source, Lsn.None));

    private static bool IsOpen(StoredBackfill backfill) => backfill.State is BackfillState.Running or BackfillState.Paused;

    private async Task<T> Run<T>(Func<T> work)
    {
        await Task.CompletedTask;
        return IsDown ? throw new StateUnavailableException("down", new TimeoutException()) : Do(work);
    }

    private T Do<T>(Func<T> work)
    {
        lock (_gate)
            return work();
    }
}
