using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>When checkpoints are made, and what becomes of them that fail.</summary>
public sealed class CheckpointerTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task What_is_finished_becomes_durable_at_the_next_interval_and_the_reader_hears_of_it()
    {
        await using var rig = new Rig();
        rig.Finish(1);
        await rig.Advance(Interval / 2);
        Assert.Equal(0, rig.Store.Commits);
        await rig.Until(() => rig.Partition.Buffer.Durable == Sample.Version(1), Interval / 2);
        await rig.Until(() => rig.Reader.Reports.Any(r => r.Partitions.Any(p => p.Progress == Sample.Version(1))), TimeSpan.Zero);
    }

    [Fact]
    public async Task Enough_bytes_do_not_wait_for_the_interval()
    {
        await using var rig = new Rig(bytes: 100);
        rig.Finish(1);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 1);
        await rig.Until(() => rig.Store.Commits == 1, TimeSpan.Zero);
    }

    [Fact]
    public async Task Half_a_window_of_finished_changes_does_not_wait_for_the_interval()
    {
        await using var rig = new Rig(window: 10);
        rig.Finish(1);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 4);
        await rig.Advance(Interval / 2);
        Assert.Equal(0, rig.Store.Commits);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 1);
        await rig.Until(() => rig.Store.Commits == 1, TimeSpan.Zero);

        // The count begins anew.
        rig.Finish(2);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 4);
        await rig.Advance(Interval / 2);
        Assert.Equal(1, rig.Store.Commits);
    }

    [Fact]
    public async Task Nothing_shortens_the_wait_after_a_failure()
    {
        await using var rig = new Rig(bytes: 100);
        rig.Store.Failing = 1;
        rig.Finish(1);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 1);
        await rig.Until(() => rig.Figures.Take().CheckpointError is not null, TimeSpan.Zero);
        rig.Checkpointer.Notice(rig.Partition.Buffer, 1);
        await rig.Advance(TimeSpan.Zero);
        Assert.Equal(0, rig.Store.Commits);
        await rig.Until(() => rig.Store.Commits == 1, TimeSpan.FromMilliseconds(50));
    }

    [Fact]
    public async Task A_checkpoint_that_fails_is_tried_again_after_a_growing_wait_with_what_is_newer()
    {
        await using var rig = new Rig();
        rig.Store.Failing = 2;
        rig.Finish(1);
        await rig.Until(() => rig.Store.Failing == 1 && rig.Figures.Take().CheckpointError is not null, Interval);
        rig.Finish(2);
        await rig.Until(() => rig.Store.Failing == 0, TimeSpan.FromMilliseconds(50));
        await rig.Until(() => rig.Partition.Buffer.Durable == Sample.Version(2) && rig.Figures.Take().CheckpointError is null, TimeSpan.FromMilliseconds(50));
        Assert.Equal([Sample.Version(2)], rig.Store.Last);
    }

    [Fact]
    public async Task A_stale_partition_is_told_and_the_others_go_on()
    {
        await using var rig = new Rig();
        var other = rig.Add(1, epoch: 4);
        rig.Store.Stale = 1;
        rig.Finish(1);
        Rig.Finish(other, 2);
        await rig.Until(() => rig.Fenced.Contains(1) && rig.Partition.Buffer.Durable == Sample.Version(1), Interval);
        Assert.All(rig.Fenced, p => Assert.Equal(1, p));
        Assert.Equal(ChangeVersion.None, other.Buffer.Durable);
    }

    [Fact]
    public async Task A_stale_epoch_is_tried_again_after_growing_waits()
    {
        await using var rig = new Rig();
        rig.Store.IsEpochStale = true;
        rig.Finish(1);
        await rig.Until(() => rig.Store.Refused == 1, Interval);
        for (var i = 0; i < 100; i++)
            await rig.Advance(Interval / 2);
        Assert.InRange(rig.Store.Refused, 1, 12);
        rig.Store.IsEpochStale = false;
        await rig.Until(() => rig.Store.Commits == 1, Interval);
    }

    [Fact]
    public async Task A_partition_that_no_reader_opened_waits()
    {
        await using var rig = new Rig(epoch: 0);
        rig.Finish(1);
        await rig.Advance(Interval * 3);
        Assert.Equal(0, rig.Store.Commits);
        rig.Partition.Epoch = 1;
        await rig.Until(() => rig.Store.Commits == 1, Interval);
    }

    [Fact]
    public async Task A_reader_that_does_not_answer_holds_up_no_checkpoint_and_hears_of_the_newest_later()
    {
        await using var rig = new Rig();
        rig.Reader.Answer = new TaskCompletionSource();
        rig.Finish(1);
        await rig.Until(() => rig.Store.Commits == 1 && rig.Reader.Reports.Count == 1, Interval);
        rig.Finish(2);
        await rig.Until(() => rig.Store.Commits == 2, Interval);
        Assert.Single(rig.Reader.Reports);
        rig.Reader.Answer.SetResult();
        await rig.Until(() => rig.Reader.Reports[^1].Partitions is [{ } last] && last.Progress == Sample.Version(2), Interval);
    }

    [Fact]
    public async Task Partitions_that_leave_do_not_wait_for_a_reader_that_is_gone_and_hold_up_no_checkpoint()
    {
        await using var rig = new Rig();
        rig.Reader.Answer = new TaskCompletionSource();
        var leaving = Enumerable.Range(0, 5).Select(_ => rig.Checkpointer.CommitNow(TestContext.Current.CancellationToken)).ToArray();
        await rig.Until(() => rig.Reader.Reports.Count == 1, TimeSpan.Zero);
        rig.Finish(1);
        await rig.Until(() => rig.Store.Commits == 1, Interval);
        Assert.DoesNotContain(leaving, l => l.IsCompleted);
        await rig.Advance(TimeSpan.FromSeconds(1));
        await rig.Advance(TimeSpan.FromSeconds(1));
        await rig.Until(() => leaving.All(l => l.IsCompletedSuccessfully), TimeSpan.Zero);
        Assert.Single(rig.Reader.Reports);
    }

    [Fact]
    public async Task A_row_that_the_store_leaves_out_is_counted_and_named_and_stops_nothing()
    {
        await using var rig = new Rig();
        rig.Store.LeftOut = [new EntityKey("public.orders", "a")];
        rig.Finish(1);
        await rig.Until(() => rig.Partition.Buffer.Durable == Sample.Version(1) && rig.Figures.Take().RowsTooLarge == 1, Interval);
        Assert.Equal("public.orders/a: The row is too large to be stored.", rig.Figures.Take().LastRowNotStored);
    }

    [Fact]
    public async Task Figures_are_reported_without_progress_too()
    {
        await using var rig = new Rig();
        await rig.Until(() => rig.Reader.Reports.Count >= 2, TimeSpan.FromMilliseconds(500));
        Assert.All(rig.Reader.Reports, r => Assert.Empty(r.Partitions));
    }

    private sealed class Rig : IAsyncDisposable
    {
        private readonly FakeTimeProvider _time = new();

        public Rig(long bytes = long.MaxValue, long epoch = 1, int window = 1000)
        {
            var source = new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [], WindowChanges = window };
            Figures = new SourceFigures(source, _time, new EntityBudget(1 << 20, 1), new MemoryBudget(1 << 20), () => []);
            Checkpointer = new Checkpointer(
                source, "silo", new ControlConfiguration { Connection = "", CheckpointInterval = Interval, CheckpointBytes = bytes },
                Store, Figures, Reader, _time, NullLogger.Instance);
            Partition = Add(0, epoch);
        }

        public Store Store { get; } = new();

        public Reader Reader { get; } = new();

        public SourceFigures Figures { get; }

        public Checkpointer Checkpointer { get; }

        public Part Partition { get; }

        public List<int> Fenced { get; } = [];

        public Part Add(int index, long epoch)
        {
            var part = new Part(index) { Epoch = epoch };
            Checkpointer.Register(part, () => Fenced.Add(index));
            return part;
        }

        public void Finish(long commit) => Finish(Partition, commit);

        public static void Finish(Part part, long commit)
        {
            part.Buffer.Add(new EntityKey("public.orders", "a"), new EntityState(Sample.Version(commit), Sample.Orders, Sample.Row("a", "b", null), false), Retention.Used);
            part.Buffer.SetProgress(Sample.Version(commit));
        }

        /// <summary>Lets time pass; what follows from it at once is done afterwards.</summary>
        public async Task Advance(TimeSpan time)
        {
            _time.Advance(time);
            for (var i = 0; i < 50; i++)
                await Task.Yield();
        }

        /// <summary>Waits for something, while time passes in steps: the loop sets its next wait on a thread of its own.</summary>
        public Task Until(Func<bool> done, TimeSpan step) => WalSessionTests.Until(() =>
        {
            if (done())
                return true;
            _time.Advance(step);
            return false;
        });

        public async ValueTask DisposeAsync()
        {
            Reader.Answer?.TrySetResult();
            await Checkpointer.DisposeAsync();
        }
    }

    private sealed class Part(int index) : ICheckpointed
    {
        public int Index => index;

        public long Epoch { get; set; }

        public CheckpointBuffer Buffer { get; } = new(index, new PartitionClaim(7, ChangeVersion.None, ChangeVersion.None), new EntityBudget(1 << 20, 1), new MemoryBudget(1 << 20));
    }

    private sealed class Store : ICheckpointStore
    {
        private int _commits;

        public int Commits => Volatile.Read(ref _commits);

        public volatile int Failing;

        public volatile bool IsEpochStale;

        public volatile int Refused;

        /// <summary>A partition that somebody newer owns.</summary>
        public int? Stale { get; set; }

        /// <summary>Versions of the states that were written last.</summary>
        public ChangeVersion[] Last { get; private set; } = [];

        /// <summary>Entities whose row the store leaves out.</summary>
        public IReadOnlyList<EntityKey> LeftOut { get; set; } = [];

        public Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation)
        {
            if (Failing > 0)
            {
                Failing--;
                throw new InvalidOperationException("out of reach");
            }

            if (IsEpochStale)
            {
                Refused++;
                throw new StaleOwnerException("stale", true, []);
            }

            if (checkpoint.Partitions.Any(p => p.Partition == Stale))
                throw new StaleOwnerException("stale", false, [Stale!.Value]);
            Last = [.. checkpoint.Partitions.SelectMany(p => p.States).Select(s => s.Value.Version)];
            Interlocked.Increment(ref _commits);
            return Task.FromResult(LeftOut);
        }

        public Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation) => throw new NotSupportedException();

        public Task FixPartitions(string source, int partitions, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Doubt(string source, long epoch, int tableId, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation) => throw new NotSupportedException();
    }

    private sealed class Reader : IWalReaderGrain
    {
        private readonly Lock _gate = new();
        private readonly List<ProgressReport> _reports = [];

        public TaskCompletionSource? Answer { get; set; }

        public IReadOnlyList<ProgressReport> Reports
        {
            get
            {
                lock (_gate)
                    return [.. _reports];
            }
        }

        public ValueTask EnsureRunning() => throw new NotSupportedException();

        public async ValueTask ReportProgress(ProgressReport report)
        {
            lock (_gate)
                _reports.Add(report);
            if (Answer is { } answer)
                await answer.Task;
        }

        public ValueTask WriteHeartbeat() => default;

        public ValueTask<SourceStatus> GetStatus() => throw new NotSupportedException();
    }
}
