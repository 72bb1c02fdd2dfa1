using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>What a reader sends to a partition that moves, or that follows another reader.</summary>
public sealed class PartitionLinkTests
{
    [Fact]
    public async Task A_partition_that_moved_is_opened_again_and_gets_what_it_lacks()
    {
        await using var rig = new Rig();
        rig.Send(1);
        await WalSessionTests.Until(() => rig.Partition.Changes.Any());

        // The next activation has the first change durable and nothing of the second.
        rig.Partition.Refuse = new InvalidOperationException("moving");
        rig.Send(2);
        await WalSessionTests.Until(() => rig.Partition.Refused == 1);
        rig.Partition.Refuse = null;
        rig.Partition.Generation = 2;
        rig.Partition.Progress = Sample.Version(1);
        await rig.Until(() => rig.Partition.Changes.Any(c => c.Version == Sample.Version(2)));
        Assert.Equal(2, rig.Partition.Opened);
        Assert.Equal([1, 1], rig.Partition.Batches.Select(b => b.Sequence));
        Assert.Equal([1, 2], rig.Partition.Batches.Select(b => b.Generation));
        Assert.Equal([1, 2], rig.Partition.Changes.Select(c => (int)c.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_partition_that_moved_while_nothing_changed_is_opened_again()
    {
        await using var rig = new Rig();
        rig.Send(1);
        await WalSessionTests.Until(() => rig.Partition.Changes.Any());
        rig.Session.Progressed(0, Sample.Version(1));
        rig.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(1, rig.Partition.Opened);
        rig.Partition.Generation = 2;
        await rig.Until(() => rig.Partition.Opened == 2);
        rig.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(2, rig.Partition.Opened);
    }

    [Fact]
    public async Task A_partition_that_lost_what_it_had_taken_gets_it_again()
    {
        await using var rig = new Rig();
        rig.Send(1);
        await WalSessionTests.Until(() => rig.Partition.Changes.Any());
        rig.Partition.Refuse = new BatchOutOfSequenceException("another activation");
        rig.Send(2);
        await WalSessionTests.Until(() => rig.Partition.Refused == 1);
        rig.Partition.Refuse = null;
        await rig.Until(() => rig.Partition.Changes.Count() == 3);
        Assert.Equal([1, 1, 2], rig.Partition.Changes.Select(c => (int)c.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_partition_whose_silo_died_without_an_answer_is_opened_again_after_two_seconds()
    {
        await using var rig = new Rig();
        rig.Partition.Silence = new TaskCompletionSource();
        rig.Send(1);
        await WalSessionTests.Until(() => rig.Partition.Silenced == 1);
        rig.Advance(TimeSpan.FromSeconds(1.9));
        Assert.Equal(1, rig.Partition.Opened);
        rig.Partition.Silence = null;
        rig.Advance(TimeSpan.FromSeconds(0.2));
        await rig.Until(() => rig.Partition.Changes.Any());
        Assert.Equal(2, rig.Partition.Opened);
    }

    [Fact]
    public async Task A_batch_that_a_newer_reader_made_stale_ends_the_session()
    {
        await using var rig = new Rig();
        rig.Partition.Refuse = new StaleReaderException("newer");
        rig.Send(1);
        await Assert.ThrowsAsync<StaleReaderException>(() => rig.Session.Failed.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        Assert.Empty(rig.Partition.Batches);
    }

    private sealed class Rig : IAsyncDisposable
    {
        private readonly FakeTimeProvider _time = new();
        private readonly FakeLog _log = new();
        private readonly CancellationTokenSource _stop = new();

        public Rig()
        {
            var source = new SourceConfiguration
            {
                Name = "shop", Connection = "", Slot = "s", Publication = "p", Partitions = 1, Tables = [new TableSelection { Pattern = "*" }],
            };
            Session = new WalSession(source, _log, new FakeStore(), 5, Lsn.None, FakeGrains.Of([Partition]), _time, NullLogger.Instance, CancellationToken.None);
            _ = Session.Read(_stop.Token);
        }

        public FakePartition Partition { get; } = new();

        public WalSession Session { get; }

        public void Send(long commit) =>
            _log.Write(Sample.Change(ChangeOperation.Create, "a", Sample.Version(commit), Sample.Row("a", "x", null)));

        public void Advance(TimeSpan time) => _time.Advance(time);

        /// <summary>Waits for something that follows a wait of the link.</summary>
        public Task Until(Func<bool> done) => WalSessionTests.Until(() =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(25));
            return done();
        });

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Session.DisposeAsync();
            _stop.Dispose();
        }
    }
}
