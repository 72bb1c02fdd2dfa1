using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>A session over a log, a store and two partitions that answer as the test says.</summary>
public sealed class WalSessionTests
{
    private static readonly RowImage Moving = Sample.Row("b", "new", Sample.Unchanged);

    [Fact]
    public async Task While_a_row_is_asked_for_everything_read_before_is_on_its_way_and_the_wait_is_told()
    {
        await using var rig = new Rig();
        var (mover, other) = rig.TwoKeys();
        rig.Partitions[rig.Of(mover)].Row = _ => new StoredRow(false);
        rig.Log.Write(Create(other, 1), Deleted(mover, 2), Created("b", 2));
        _ = rig.Start();
        await Until(() => rig.Partitions[rig.Of(other)].Changes.Any());
        await Until(() => rig.Session.HoldingFor > TimeSpan.Zero);
        Assert.Equal("Reading waits for a row of public.orders that moved to another key.", rig.Session.HoldingReason);

        rig.Partitions[rig.Of(mover)].Row = _ => new StoredRow(true, Sample.Version(1), Sample.Orders, Sample.Row(mover, "old", "large"));
        await Until(() => rig.Partitions[rig.Of("b")].Changes.Any(c => c.Operation == ChangeOperation.Create && c.Entity.Key == "b"));
        Assert.Equal(["b", "new", "large"], Sample.Values(rig.Partitions[rig.Of("b")].Changes.Single(c => c.Entity.Key == "b").After));
        Assert.Null(rig.Session.HoldingReason);
    }

    [Theory]
    [InlineData(EntityMode.Version)]
    [InlineData(EntityMode.Off)]
    public async Task No_row_is_asked_for_where_none_is_held(EntityMode mode)
    {
        await using var rig = new Rig(mode);
        rig.Log.Write(Deleted("a", 2), Created("b", 2));
        _ = rig.Start();
        await Until(() => rig.Partitions.Sum(p => p.Changes.Count()) == 2);
        Assert.All(rig.Partitions, p => Assert.Empty(p.Asked));
    }

    [Fact]
    public async Task No_row_is_asked_for_when_its_deletion_is_durable()
    {
        await using var rig = new Rig();
        rig.Partitions[rig.Of("a")].Progress = Sample.Version(2);
        rig.Session.Start();
        await Until(() => rig.Partitions.All(p => p.Opened > 0));
        rig.Log.Write(Deleted("a", 2), Create("a", 3));
        _ = rig.Start();
        await Until(() => rig.Partitions[rig.Of("a")].Changes.Any());
        Assert.Empty(rig.Partitions[rig.Of("a")].Asked);
    }

    [Fact]
    public async Task A_partition_that_is_behind_is_opened_again_and_asked_with_the_last_that_was_sent_ever()
    {
        await using var rig = new Rig();
        var partition = rig.Partitions[rig.Of("a")];
        partition.Row = _ => partition.Opened < 2 ? new StoredRow(false, MustReopen: true) : new StoredRow(true);
        rig.Log.Write(Create("a", 1));
        _ = rig.Start();
        await Until(() => partition.Changes.Any());
        rig.Session.Progressed(rig.Of("a"), Sample.Version(1));
        rig.Log.Write(Deleted("a", 2), Create("a", 3));
        await Until(() => partition.Changes.Any(c => c.Version == Sample.Version(3)));
        Assert.Equal(2, partition.Opened);
        Assert.All(partition.Asked, a => Assert.Equal((5, Sample.Version(1)), a));
    }

    [Fact]
    public async Task What_is_not_true_any_more_is_forgotten_once_all_before_it_is_durable_and_before_anything_after_it()
    {
        await using var rig = new Rig();
        var forgotten = false;
        rig.Store.Truncated = _ =>
        {
            Assert.All(rig.Partitions, p => Assert.Empty(p.Forgotten));

            // Twice: at first, a replay had a row.
            Assert.All(rig.Partitions, p => Assert.Equal([7, 7], p.HeldReplays));
            forgotten = true;
            return Task.CompletedTask;
        };
        rig.Log.Write(Create("a", 1));
        rig.Log.Forget(Sample.Version(1), 7);
        rig.Log.Write(Create("a", 2));
        _ = rig.Start();
        var partition = rig.Partitions[rig.Of("a")];
        await Until(() => partition.Changes.Any());
        Assert.False(forgotten);
        Assert.Single(partition.Changes);
        rig.Session.Progressed(rig.Of("a"), Sample.Version(1));
        await Until(() => partition.Changes.Count() == 2);
        Assert.True(forgotten);
        Assert.All(rig.Partitions, p => Assert.Equal([7], p.Forgotten));
    }

    [Fact]
    public async Task A_truncation_waits_for_the_control_database_and_says_so()
    {
        await using var rig = new Rig();
        var tries = 0;
        var comesBack = new TaskCompletionSource();
        rig.Store.Truncated = async _ =>
        {
            if (++tries == 1)
                throw new TimeoutException("gone fishing");
            await comesBack.Task;
        };
        rig.Log.Write(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(3)));
        var reading = rig.Start();
        await Until(() => tries == 2);
        Assert.Equal("Reading waits for the stored rows of public.orders, which was truncated, to be deleted: gone fishing", rig.Session.HoldingReason);
        Assert.False(reading.IsCompleted);
        comesBack.SetResult();
        await Until(() => rig.Partitions.All(p => p.Changes.Any()));

        // What cannot pass, and the end of the session, are not waited out.
        rig.Store.Truncated = _ => throw new StaleOwnerException("stale", true, []);
        rig.Session.Progressed(0, Sample.Version(3));
        rig.Session.Progressed(1, Sample.Version(3));
        rig.Log.Write(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(4)));
        await Assert.ThrowsAsync<StaleOwnerException>(() => reading);
    }

    [Fact]
    public async Task An_outage_of_the_control_database_does_not_outlast_the_session()
    {
        await using var rig = new Rig();
        var tries = 0;
        rig.Store.Truncated = _ => Task.FromException(new TimeoutException($"try {++tries}"));
        rig.Log.Write(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(3)));
        var reading = rig.Start();
        await Until(() => tries > 0);
        await rig.Stop();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    [Fact]
    public async Task Large_changes_go_one_by_one_and_small_ones_together()
    {
        await using var rig = new Rig();
        await rig.Opened();
        var keys = Enumerable.Range(0, 1000).Select(i => $"k{i}").Where(k => rig.Of(k) == 0).ToArray();
        var large = new string('x', 3 << 20);
        rig.Log.Write([.. keys[..4].Select((k, i) => Sample.Change(ChangeOperation.Create, k, Sample.Version(i + 1), Sample.Row(k, large, null)))]);
        rig.Log.Write([.. keys[4..104].Select((k, i) => Create(k, i + 5))]);
        _ = rig.Start();
        await Until(() => rig.Partitions[0].Changes.Count() == 104);
        Assert.All(rig.Partitions[0].Batches, b => Assert.InRange(b.Changes.Sum(c => (long)c.Size), 0, 4 << 20));
        Assert.InRange(rig.Partitions[0].Batches.Length, 4, 10);
    }

    [Fact]
    public async Task A_change_too_large_for_a_message_ends_the_session_with_its_position_and_the_remedy()
    {
        await using var rig = new Rig(mostOfChange: 10_000);
        rig.Log.Write(Create("a", 1), Sample.Change(ChangeOperation.Update, "b", Sample.Version(16), Sample.Row("b", new string('x', 10_000), null)));
        var trouble = await Assert.ThrowsAsync<CaptureException>(rig.Start);
        Assert.False(trouble.Transient);
        Assert.StartsWith("Update of public.orders at 0/10/1 (associated LSN 0/10) is of 1", trouble.Message, StringComparison.Ordinal);
        Assert.Contains("large_values.limit", trouble.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_truncation_that_is_durable_in_a_partition_holds_no_replay_there()
    {
        await using var rig = new Rig();
        await rig.Opened();
        rig.Session.Progressed(0, Sample.Version(3));
        rig.Log.Write(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(3)));
        _ = rig.Start();
        await Until(() => rig.Partitions[1].Changes.Any());
        Assert.Empty(rig.Partitions[0].HeldReplays);
        Assert.Contains(Sample.Orders.TableId, rig.Partitions[1].HeldReplays);
        Assert.Empty(rig.Partitions[0].Changes);
    }

    [Fact]
    public async Task A_message_by_itself_is_no_heartbeat_and_a_truncation_is_one_change()
    {
        await using var rig = new Rig();
        rig.Log.Write(Sample.Change(ChangeOperation.Message, "note", Sample.Version(1)));
        rig.Log.Write(WalItemKind.Position, 2);
        rig.Log.Write(WalItemKind.Position, 3);
        rig.Log.Write(Sample.Change(ChangeOperation.Message, "note", Sample.Version(4)));
        rig.Log.Write(WalItemKind.Commit, 5);
        rig.Log.Write(WalItemKind.Position, 6);
        rig.Log.Write(Sample.Change(ChangeOperation.Heartbeat, "", Sample.Version(7)));
        rig.Log.Write(WalItemKind.Position, 8);
        var reading = rig.Start();
        await Until(() => rig.Session.Received == new Lsn(8));
        Assert.Equal((3L, 3L, 1L), (rig.Session.Changes, rig.Session.Heartbeats, rig.Session.Transactions));

        rig.Log.Write(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(9)));
        rig.Session.Progressed(0, Sample.Version(8));
        rig.Session.Progressed(1, Sample.Version(8));
        await Until(() => rig.Partitions.All(p => p.Changes.Any(c => c.Operation == ChangeOperation.Truncate)));
        Assert.Equal(4, rig.Session.Changes);
        Assert.False(reading.IsCompleted);
    }

    [Fact]
    public async Task A_partition_that_makes_nothing_durable_for_a_while_is_opened_again()
    {
        var time = new FakeTimeProvider();
        await using var rig = new Rig(time: time);
        await rig.Opened();
        rig.Log.Write(Create("a", 1));
        _ = rig.Start();
        var partition = rig.Partitions[rig.Of("a")];
        await Until(() => partition.Changes.Any());
        Assert.Equal(1, partition.Opened);
        await Until(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return partition.Opened > 1;
        });
        await Until(() => partition.Changes.Count() == 2);
    }

    [Fact]
    public async Task A_partition_that_fails_is_asked_again_by_the_sessions_clock()
    {
        var time = new FakeTimeProvider();
        await using var rig = new Rig(time: time);
        var (mover, _) = rig.TwoKeys();
        var asked = 0;
        rig.Partitions[rig.Of(mover)].Row = _ => Interlocked.Increment(ref asked) == 1 ? throw new TimeoutException("moving") : new StoredRow(true);
        rig.Log.Write(Deleted(mover, 2), Created("b", 2));
        _ = rig.Start();
        await Until(() => Volatile.Read(ref asked) == 1);
        Assert.DoesNotContain(rig.Partitions[rig.Of("b")].Changes, c => c.Entity.Key == "b");
        await Until(() =>
        {
            time.Advance(TimeSpan.FromMilliseconds(25));
            return rig.Partitions[rig.Of("b")].Changes.Any(c => c.Entity.Key == "b");
        });
        Assert.Equal(2, asked);
    }

    [Theory]
    [InlineData(5, 7, true)]
    [InlineData(5, 8, true)]
    [InlineData(5, 6, false)]
    [InlineData(4, 7, false)]
    public async Task A_report_counts_only_if_it_is_for_this_reader_and_by_this_activation_or_a_newer_one(long epoch, long generation, bool counts)
    {
        await using var rig = new Rig();
        rig.Partitions[rig.Of("a")].Generation = 7;
        await rig.Opened();
        rig.Log.Write(Create("a", 1));
        _ = rig.Start();
        await Until(() => rig.Session.Window.Changes == 1 && rig.Partitions[rig.Of("a")].Changes.Any());
        rig.Session.Progressed(new ProgressReport
        {
            Epoch = epoch, Silo = "silo", Figures = new SiloFigures(),
            Partitions = [new PartitionProgressReport(rig.Of("a"), generation, Sample.Version(1))],
        });
        Assert.Equal(counts ? 0 : 1, rig.Session.Window.Changes);
    }

    internal static async Task Until(Func<bool> done)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(20); !done(); await Task.Delay(1))
            Assert.True(DateTime.UtcNow < deadline, "Waited 20 s.");
    }

    private static RowChange Create(string key, long commit) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit), Sample.Row(key, "x", null));

    private static RowChange Deleted(string key, long commit) =>
        Sample.Change(ChangeOperation.Delete, key, Sample.Version(commit), before: Sample.Row(key, null, null), keyOnly: true) with { OtherRow = Moving };

    private static RowChange Created(string key, long commit) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit, 2), Moving) with { OtherRow = Sample.Row("a", null, null) };

    private sealed class Rig : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();

        public Rig(EntityMode mode = EntityMode.Row, int mostOfChange = int.MaxValue, TimeProvider? time = null)
        {
            var source = new SourceConfiguration
            {
                Name = "shop", Connection = "", Slot = "s", Publication = "p", Partitions = Partitions.Length,
                Tables = [new TableSelection { Pattern = "*", Entities = mode }],
            };
            Session = new WalSession(
                source, Log, Store, 5, Lsn.None, FakeGrains.Of(Partitions), time ?? TimeProvider.System, NullLogger.Instance, CancellationToken.None)
            {
                MostOfChange = mostOfChange,
            };
        }

        public FakeLog Log { get; } = new();

        public FakeStore Store { get; } = new();

        public FakePartition[] Partitions { get; } = [new(), new()];

        public WalSession Session { get; }

        public int Of(string key) => new EntityKey("public.orders", key).Partition(Partitions.Length);

        /// <summary>A key, and one of the other partition.</summary>
        public (string, string) TwoKeys() => ("a", Enumerable.Range(0, 100).Select(i => $"k{i}").First(k => Of(k) != Of("a")));

        public Task Opened()
        {
            Session.Start();
            return Until(() => Partitions.All(p => p.Opened > 0));
        }

        public Task Start() => Session.Read(_stop.Token);

        public Task Stop() => _stop.CancelAsync();

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Session.DisposeAsync();
            _stop.Dispose();
        }
    }
}
