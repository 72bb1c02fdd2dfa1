using System.Diagnostics;
using System.Globalization;
using CdcOrleans.Cluster.Ledger;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>What a crash repeats at a healthy sink, while another sink takes connections and never answers.</summary>
public sealed class HangingSinkFailureTests(PostgresFixture postgres)
{
    private static readonly TimeSpan Inline = TimeSpan.FromMilliseconds(500);

    // A change is applied, and its sink answers, within this time. The one that is tried at the hanging sink takes Inline more.
    private static readonly TimeSpan Applied = TimeSpan.FromSeconds(1);

    // Changes of several seconds.
    private const int Steady = 4000;

    // What is not seen by then is seen by what repeats.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Killed_beside_a_sink_that_never_answers_only_the_last_interval_repeats()
    {
        await using var healthy = new Receiver();
        await using var hanging = new Receiver();
        var requests = 0;
        hanging.Answer = async _ =>
        {
            Interlocked.Increment(ref requests);
            await Task.Delay(Timeout.InfiniteTimeSpan);
            return 200;
        };
        await using var pipeline = await Pipeline.Create(
            postgres.Server, CountedItems.Schema, $"{Webhook("healthy", healthy)}\n{Webhook("hanging", hanging)}",
            routes: $$"""- { from: "shop.public.*", to: [healthy, hanging], format: debezium, delivery: { inline: {{Inline.TotalMilliseconds}}ms } }""");
        var silo = await pipeline.Run();
        try
        {
            using var enough = new CancellationTokenSource();
            var work = Work(pipeline.Database, enough.Token);
            await Within(Patience, () => Task.FromResult(healthy.Events.Count > Steady));

            // When a later change is durable, a checkpoint has been written since then. So on a slow machine it is killed later.
            var (from, log) = await Now(pipeline.Database);
            await Within(Patience, async () => await Stored(pipeline) >= log);
            await silo.Kill();
            var unanswered = await Parked(pipeline);
            await silo.DisposeAsync();
            silo = await pipeline.Run();
            await enough.CancelAsync();
            await work;
            var rows = await Rows(pipeline.Database);
            await silo.Until(() => Task.FromResult(healthy.HasAll(rows)), "to deliver every change to the healthy sink");
            await pipeline.Drained(silo);

            var events = healthy.Events;
            Assert.Equal(rows.Values.Sum(), events.DistinctBy(e => (e.Id, e.N)).Count());
            var repeated = events.GroupBy(e => (e.Id, e.N)).Where(g => g.Count() > 1).Select(g => g.First()).ToList();
            var oldest = repeated.Select(e => from - e.Commit).DefaultIfEmpty().Max();
            TestContext.Current.SendDiagnosticMessage(string.Create(
                CultureInfo.InvariantCulture,
                $"{events.Count} events, {repeated.Count} repeated; the oldest was committed {oldest.TotalMilliseconds:0} ms before the last checkpoint began. The other sink had not answered {unanswered}."));
            Assert.True(oldest < Inline + Applied, $"Of {repeated.Count} repeated events, the oldest was committed {oldest} before the last checkpoint.");
            Assert.True(requests > 0 && hanging.Events.Count == 0, "The hanging sink was not asked, or has answered.");
            Assert.True(unanswered > 1000, $"Only {unanswered} events wait for the sink that hangs.");
        }
        finally
        {
            await silo.DisposeAsync();
        }
    }

    private static string Webhook(string name, Receiver receiver) =>
        $"{name}: {{ type: webhook, url: \"{receiver.Url}\", secret: {Receiver.Secret}, private_addresses: allow, batch: 100, timeout: 5m }}";

    // Changes ten rows a transaction, a hundred times a second.
    private static async Task Work(string database, CancellationToken enough)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(CancellationToken.None);
        await using var update = new NpgsqlCommand("UPDATE items SET n = n + 1 WHERE id % 20 = $1", connection);
        update.Parameters.Add(new NpgsqlParameter<int>());
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var i = 0; !enough.IsCancellationRequested; i++)
        {
            ((NpgsqlParameter<int>)update.Parameters[0]).TypedValue = i % 20;
            await update.ExecuteNonQueryAsync(CancellationToken.None);
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private static async Task Within(TimeSpan time, Func<Task<bool>> condition)
    {
        for (var waiting = Stopwatch.StartNew(); waiting.Elapsed < time && !await condition();)
            await Task.Delay(10);
    }

    private static async Task<(DateTimeOffset At, Lsn Log)> Now(string database) =>
        (DateTimeOffset.UtcNow, Lsn.Parse((await PostgresServer.Scalar(database, "SELECT pg_current_wal_insert_lsn()::text"))!));

    private static async Task<Lsn> Stored(Pipeline pipeline) => new(ulong.Parse(
        (await PostgresServer.Scalar(pipeline.Control, "SELECT coalesce(max(commit_lsn), 0) FROM cdc.entity_states"))!, CultureInfo.InvariantCulture));

    private static async Task<long> Parked(Pipeline pipeline) =>
        long.Parse((await PostgresServer.Scalar(pipeline.Control, "SELECT count(*) FROM cdc.parked_events WHERE sink = 'hanging'"))!, CultureInfo.InvariantCulture);

    private static async Task<Dictionary<int, int>> Rows(string database)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT id, n FROM items", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new Dictionary<int, int>();
        while (await reader.ReadAsync())
            rows.Add(reader.GetInt32(0), reader.GetInt32(1));
        return rows;
    }
}
