using System.Collections.Concurrent;
using CdcOrleans.Grains.Hosting;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>Which journals are looked after, and with which bounds.</summary>
public sealed class JournalSweeperTests
{
    [Fact]
    public async Task Each_journal_gets_the_bounds_of_its_table_and_an_error_of_one_does_not_stop_the_others()
    {
        var time = new FakeTimeProvider();
        var store = new Store();
        var kept = new JournalOptions { Age = TimeSpan.FromDays(7), Size = 1 << 30 };
        using var sweeper = new JournalSweeper(
            new PipelineConfiguration
            {
                Cluster = new ClusterConfiguration { Id = "c" }, Control = new ControlConfiguration { Connection = "" },
                Sources = new Dictionary<string, SourceConfiguration>
                {
                    ["shop"] = new()
                    {
                        Name = "shop", Connection = "", Slot = "s", Publication = "p",
                        Tables = [new TableSelection { Pattern = "public.orders", Journal = kept }, new TableSelection { Pattern = "public.*" }],
                    },
                },
                Sinks = new Dictionary<string, SinkConfiguration>(), Routes = [], Gateway = new GatewayConfiguration(),
            },
            store, store, time, NullLogger<JournalSweeper>.Instance);
        await sweeper.StartAsync(default);
        await Swept(4);
        Assert.Equal([(1, null), (2, kept), (3, null), (4, null)], store.Swept.Take(4));

        // The journals cannot be listed, and then they can again.
        store.Fails = true;
        var listed = store.Listed;
        await Advance(() => store.Listed >= listed + 3);
        store.Fails = false;
        await Swept(store.Swept.Count + 4);
        await sweeper.StopAsync(default);
        Assert.True(sweeper.ExecuteTask!.IsCompletedSuccessfully);

        Task Swept(int count) => Advance(() => store.Swept.Count >= count);

        Task Advance(Func<bool> done) => WalSessionTests.Until(() =>
        {
            if (done())
                return true;
            time.Advance(JournalSweeper.Interval);
            return false;
        });
    }

    // The first journal cannot be swept. The third has lost its option, the fourth its source.
    private sealed class Store : IJournalReader, IRetentionStore
    {
        private int _listed;

        public volatile bool Fails;

        public ConcurrentQueue<(int Table, JournalOptions? Options)> Swept { get; } = new();

        public int Listed => Volatile.Read(ref _listed);

        public Task<IReadOnlyList<JournalStatus>> List(CancellationToken cancellation)
        {
            Interlocked.Increment(ref _listed);
            return Fails
                ? Task.FromException<IReadOnlyList<JournalStatus>>(new StateUnavailableException("away", new TimeoutException()))
                : Task.FromResult<IReadOnlyList<JournalStatus>>(
                [
                    new("shop", "public.broken", 1, 1, 0, null), new("shop", "public.orders", 2, 1, 0, null), new("shop", "public.former", 3, 1, 0, null),
                    new("gone", "public.orders", 4, 1, 0, null),
                ]);
        }

        public Task<int?> SweepJournal(int tableId, JournalOptions? options, CancellationToken cancellation)
        {
            Swept.Enqueue((tableId, options));
            return tableId == 1 ? Task.FromException<int?>(new InvalidOperationException("broken")) : Task.FromResult<int?>(1);
        }

        public Task<int?> PurgeDeleteMarkers(TimeSpan age, int most, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<int?> PurgeDeadLetters(TimeSpan age, int most, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<int?> PurgeAudit(TimeSpan age, int most, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<JournalEntry>> Read(
            string source, string table, JournalPosition after, JournalWindow window, int most, long mostBytes, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<JournalPage> History(
            string source, EntityKey entity, JournalPosition before, JournalWindow window, int most, long mostBytes, CancellationToken cancellation) => throw new NotSupportedException();
    }
}
