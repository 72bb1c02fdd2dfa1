using CdcOrleans.Grains.Hosting;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>When old rows are deleted.</summary>
public sealed class RetentionSweeperTests
{
    [Fact]
    public async Task A_sweep_goes_on_while_transactions_are_full_and_comes_again_after_an_error()
    {
        var time = new FakeTimeProvider();
        var store = new Store { Markers = new([1000, 1000, 3, null]), Letters = new([null, 100, 0]), Entries = new([1000, 2, null]) };
        using var sweeper = Sweeper(store, time, TimeSpan.FromDays(7), TimeSpan.FromDays(30));
        await sweeper.StartAsync(default);
        await Until(time, RetentionSweeper.Pause, () => store.Markers.Count == 1 && store.Letters.Count == 2 && store.Entries.Count == 1);
        await Until(time, RetentionSweeper.Interval, () => store.Markers.Count == 0 && store.Letters.Count == 0 && store.Entries.Count == 0);
        Assert.Equal((TimeSpan.FromDays(7), TimeSpan.FromDays(30), TimeSpan.FromDays(90)), (store.MarkerAge, store.LetterAge, store.EntryAge));

        // The queues are empty: the store fails from now on, and is asked again.
        await Until(time, RetentionSweeper.Interval, () => store.Failures >= 6);
        await sweeper.StopAsync(default);
        Assert.True(sweeper.ExecuteTask!.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task What_is_kept_for_ever_is_not_asked_for()
    {
        var time = new FakeTimeProvider();
        var store = new Store { Markers = new(), Letters = new([0]), Entries = new([0]) };
        using var sweeper = Sweeper(store, time, TimeSpan.Zero, TimeSpan.FromDays(1));
        await sweeper.StartAsync(default);
        await Until(time, TimeSpan.Zero, () => store.Letters.Count == 0 && store.Entries.Count == 0);
        Assert.Equal((0, null), (store.Failures, store.MarkerAge));
        await sweeper.StopAsync(default);
    }

    private static RetentionSweeper Sweeper(Store store, TimeProvider time, TimeSpan markers, TimeSpan letters) => new(
        new PipelineConfiguration
        {
            Cluster = new ClusterConfiguration { Id = "c" },
            Control = new ControlConfiguration { Connection = "", DeleteMarkerRetention = markers, DeadLetterRetention = letters },
            Sources = new Dictionary<string, SourceConfiguration>(), Sinks = new Dictionary<string, SinkConfiguration>(), Routes = [], Gateway = new GatewayConfiguration(),
        },
        store, time, NullLogger<RetentionSweeper>.Instance);

    private static Task Until(FakeTimeProvider time, TimeSpan step, Func<bool> done) => WalSessionTests.Until(() =>
    {
        if (done())
            return true;
        time.Advance(step);
        return false;
    });

    private sealed class Store : IRetentionStore
    {
        private int _failures;

        public required Queue<int?> Markers { get; init; }

        public required Queue<int?> Letters { get; init; }

        public required Queue<int?> Entries { get; init; }

        public TimeSpan? EntryAge { get; private set; }

        public TimeSpan? MarkerAge { get; private set; }

        public TimeSpan? LetterAge { get; private set; }

        public int Failures => Volatile.Read(ref _failures);

        public Task<int?> PurgeDeleteMarkers(TimeSpan age, int most, CancellationToken cancellation)
        {
            MarkerAge = age;
            return Next(Markers);
        }

        public Task<int?> SweepJournal(int tableId, JournalOptions? options, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<int?> PurgeDeadLetters(TimeSpan age, int most, CancellationToken cancellation)
        {
            LetterAge = age;
            return Next(Letters);
        }

        public Task<int?> PurgeAudit(TimeSpan age, int most, CancellationToken cancellation)
        {
            EntryAge = age;
            return Next(Entries);
        }

        private Task<int?> Next(Queue<int?> answers)
        {
            if (answers.TryDequeue(out var answer))
                return Task.FromResult(answer);
            Interlocked.Increment(ref _failures);
            throw new InvalidOperationException("out of reach");
        }
    }
}
