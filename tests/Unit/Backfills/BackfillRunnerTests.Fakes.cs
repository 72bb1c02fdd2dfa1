using CdcOrleans.Grains.Backfills;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <content>A source whose tables, partitions and stored keys are the test's choice.</content>
public sealed partial class BackfillRunnerTests
{
    /// <summary>Tables whose keys are the numbers from 0, in chunks of ten rows.</summary>
    private sealed class FakeReader : IChunkReader
    {
        private ulong _xid = 999;

        public Dictionary<string, int> Tables { get; } = [];

        public BackfillHorizon Horizon { get; private set; } = BackfillHorizon.None;

        public int UnsettledTimes { get; set; }

        /// <summary>Whether chunks may also be read behind an earlier horizon than the newest.</summary>
        public bool AnyHorizon { get; set; }

        /// <summary>How many chunks were read.</summary>
        public int Reads { get; private set; }

        /// <summary>The bounds that were asked for at last.</summary>
        public ChunkBounds? Bounds { get; private set; }

        public bool IsReplica { get; set; }

        /// <summary>How far each fence is behind the one before, or behind the horizon.</summary>
        public ulong FenceAhead { get; set; }

        private ulong _fences;

        /// <summary>Ids that were given out between the horizon and a chunk.</summary>
        public Func<ChunkRequest, ulong> Elapsed { get; set; } = _ => 0;

        /// <summary>What must happen before a chunk is read.</summary>
        public Func<ChunkRequest, Task?> Before { get; set; } = _ => null;

        public Func<ChunkRequest, CaptureException?> Fails { get; set; } = _ => null;

        public Func<ChunkRequest, string?> Altered { get; set; } = _ => null;

        /// <summary>A column of the row of a key.</summary>
        public Func<string, string?> Note { get; set; } = _ => null;

        public Task<BackfillPlan> Plan(BackfillScope scope, CancellationToken cancellation) => Tables.TryGetValue(scope.FullName, out var rows)
            ? Task.FromResult(new BackfillPlan(Table(scope), ChunkOrder.Key, rows))
            : throw new CaptureException($"There is no table {scope.FullName}.", transient: false);

        public Task<BackfillHorizon> TakeHorizon(CancellationToken cancellation) => Task.FromResult(Horizon = new BackfillHorizon(new Lsn(_xid * 10), ++_xid));

        public Task<string?> Unsettled(BackfillHorizon horizon, CancellationToken cancellation) =>
            Task.FromResult(UnsettledTimes == 0 ? null : $"{UnsettledTimes--} transactions are open.");

        public async Task<TableChunk> Read(ChunkRequest request, CancellationToken cancellation)
        {
            if (Before(request) is { } before)
                await before.WaitAsync(cancellation);
            return ReadNow(request);
        }

        private TableChunk ReadNow(ChunkRequest request)
        {
            Assert.Equal((0, AnyHorizon ? request.Horizon : Horizon), (UnsettledTimes, request.Horizon));
            Bounds = request.Bounds;
            Reads++;
            if (Fails(request) is { } failure)
                throw failure;
            var table = Table(request.Scope);
            if (Altered(request) is { } altered)
                return new TableChunk(new ChunkSnapshot(new TransactionSnapshot(_xid + 1, _xid + 1), new Lsn(_xid * 10)), table, [], null) { Altered = altered };
            if (!Tables.TryGetValue(request.Scope.FullName, out var count))
                throw new CaptureException("It is gone.", transient: false);
            var all = Enumerable.Range(0, count).Select(i => i.ToString("00", System.Globalization.CultureInfo.InvariantCulture)).ToList();
            var some = request.Keys is { } keys ? all.Where(keys.Contains).ToList() : all.Where(k => string.CompareOrdinal(k, request.After) > 0).Take(10).ToList();
            var isLast = request.Keys is not null || some.Count == 0 || some[^1] == all[^1];
            return new TableChunk(
                new ChunkSnapshot(new TransactionSnapshot(_xid + 1 + Elapsed(request), _xid + 1 + Elapsed(request)), new Lsn((_xid * 10) + (FenceAhead * ++_fences))), table,
                [.. some.Select(k => new ChunkRow(new EntityKey(table.FullName, k), Sample.Row(k, "read", Note(k)), false))], isLast ? null : some[^1])
            {
                IsFromReplica = IsReplica,
                Absent = [.. (request.Keys ?? []).Except(all).Select(k => new EntityKey(table.FullName, k))],
            };
        }

        public ValueTask DisposeAsync() => default;

        private static Model.Schemas.TableSchema Table(BackfillScope scope) => Sample.Table(scope.Table, 1, "id", "status", "note");
    }

    /// <summary>A clock that goes on by itself, and can be set forward.</summary>
    private sealed class FastClock : TimeProvider
    {
        private long _passed;

        public void Pass(TimeSpan time) => Interlocked.Add(ref _passed, time.Ticks);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Interlocked.Read(ref _passed) + System.GetTimestamp() * TimeSpan.TicksPerSecond / System.TimestampFrequency;
    }

    private sealed class FakeSource : IBackfillSource
    {
        private readonly Lock _gate = new();

        public List<ChunkSlice> Merged { get; } = [];

        public HashSet<string> Incomplete { get; } = [];

        public int UnreachedTimes { get; set; }

        public long CurrentGeneration { get; set; } = 1;

        public Func<ChunkSlice, ChunkAnswer?> Before { get; set; } = _ => null;

        public bool OnePartition { get; set; }

        public int Partitions => OnePartition ? 1 : 2;

        public Task<long> Generation(int partition) => Task.FromResult(CurrentGeneration);

        /// <summary>What must happen before rows are merged.</summary>
        public Func<ChunkSlice, Task?> Holds { get; set; } = _ => null;

        public async Task<ChunkAnswer> Merge(int partition, ChunkSlice slice)
        {
            if (Holds(slice) is { } held)
                await held;
            lock (_gate)
            {
                if (Before(slice) is { } answer)
                    return answer;
                if (IsForgotten)
                    return new ChunkAnswer { IsForgotten = true };
                if (slice.Generation != CurrentGeneration)
                    return new ChunkAnswer { MustReadAgain = true };
                Merged.Add(slice);
                Assert.All(slice.Rows, r => Assert.Equal(partition, r.Entity.Partition(Partitions)));
                return new ChunkAnswer { IsDone = true, Sent = slice.Rows.Count(r => r.Row.IsPresent), Deleted = slice.Rows.Count(r => !r.Row.IsPresent) };
            }
        }

        /// <summary>Whether the stored rows were forgotten since the watch began.</summary>
        public bool IsForgotten { get; set; }

        public List<TableWatch> Watches { get; } = [];

        public List<(string Table, long Backfill)> Watched { get; } = [];

        public Task Watch(int partition, long backfill, int table, string name, TableWatch watch)
        {
            lock (_gate)
            {
                Watched.Add((name, backfill));
                Watches.Add(watch);
                IsForgotten &= watch == TableWatch.GoOn;
            }

            return Task.CompletedTask;
        }

        public Task<string[]?> TakeIncomplete(int partition, int table)
        {
            if (IsForgotten)
                return Task.FromResult<string[]?>(null);
            string[] taken = partition == 0 ? [.. Incomplete] : [];
            if (partition == 0)
                Incomplete.Clear();
            return Task.FromResult<string[]?>(taken);
        }

        /// <summary>The stream has reached positions below this one.</summary>
        public ulong Reached { get; set; } = ulong.MaxValue;

        public System.Collections.Concurrent.ConcurrentQueue<Lsn> Asked { get; } = [];

        public Task<(bool IsReached, string? Waiting)> HasReached(Lsn position)
        {
            Asked.Enqueue(position);
            var isReached = UnreachedTimes == 0 && position.Value < Reached;
            return Task.FromResult(isReached ? (true, (string?)null) : (false, $"{(UnreachedTimes > 0 ? UnreachedTimes-- : 1)} more"));
        }
    }

    private sealed class FakeKeys : IReplayStore
    {
        public List<string> Held { get; } = [];

        public Task<HeldKeys> ReadKeys(string source, string table, string? after, int most, CancellationToken cancellation)
        {
            string[] some = [.. Held.Order(StringComparer.Ordinal).Where(k => string.CompareOrdinal(k, after) > 0).Take(3)];
            return Task.FromResult(new HeldKeys(some, 0, some.Length > 0 ? some[^1] : null));
        }

        public Task<(StoredReplay Replay, bool IsNew)> Add(StoredReplay replay, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<StoredReplay>> List(long before, int limit, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<StoredReplay?> Get(long id, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => throw new NotSupportedException();

        public Task<bool> Change(long id, IReadOnlyCollection<ReplayState> from, ReplayState to, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<StoredReplay?> Begin(long id, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<ReplayState?> Save(StoredReplay replay, ReplayTable table, string? waiting, double speed, CancellationToken cancellation) => throw new NotSupportedException();

        public Task End(StoredReplay replay, string? error, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<string>> Tables(string source, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<HeldKeys> ReadIncomplete(string source, string table, string? after, int most, CancellationToken cancellation) =>
            Task.FromResult(new HeldKeys([], 0, null));

        public Task<long> Estimate(string source, string table, CancellationToken cancellation) => throw new NotSupportedException();
    }
}
