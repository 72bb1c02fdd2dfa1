using System.Diagnostics;
using System.Globalization;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Cluster.Ledger;

/// <summary>
/// Three sinks under load while the process is killed twice: a healthy one; one that hangs for a long time; and one that refuses the events
/// of some entities for a while, and those of a few for ever. No event may be missing in the sum of what was delivered, parked and given up
/// on. <c>CDC_TEST_LEDGER_SECONDS=300</c> runs it for five minutes, and compares the healthy sink's times with those that it has alone. Without
/// the variable, it takes half a minute, and one pause of the machine would decide about the times.
/// <para>
/// Compared are the times beside sinks in trouble, from before one begins to hang, with those alone. Left out on both sides is how a process
/// starts. So the changes from a second before a kill until <see cref="WarmUp"/> after the healthy sink has caught up are not compared: nobody
/// delivers while there is no process, and that belongs to failover. The test says what the times are with them too.
/// </para>
/// </summary>
public sealed class LedgerTests(PostgresFixture postgres)
{
    private const int Rows = 2000;
    private const int PerSecond = 2000;
    private const int PerStatement = 100;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(5);

    private static readonly string? Asked = Environment.GetEnvironmentVariable("CDC_TEST_LEDGER_SECONDS");

    private static readonly TimeSpan Load = TimeSpan.FromSeconds(int.Parse(Asked ?? "30", CultureInfo.InvariantCulture));

    private static readonly TimeSpan Alone = Load / 4 + WarmUp;

    private const string Schema = """
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, filler text NOT NULL);
        INSERT INTO items SELECT i, 0, repeat('x', 200) FROM generate_series(0, 1999) i;
        """;

    private bool _isRepaired;

    private static bool IsRefusedForAWhile(int id) => id % 100 == 7;

    private static bool IsRefusedForEver(int id) => id % 1000 == 42;

    [Fact]
    public async Task Every_event_is_delivered_parked_or_given_up_on_whatever_happens()
    {
        await using var control = await PostgresServer.Start();
        await using var healthy = new Receiver();
        await using var hanging = new Receiver();
        await using var picky = new Receiver();
        var hang = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        picky.Answer = events => Task.FromResult(Judge(events));

        var alone = await HealthyAlone(control);
        await using var pipeline = await Create(control, ("healthy", healthy), ("hanging", hanging), ("picky", picky));
        var silo = await pipeline.Run();
        try
        {
            var before = silo.WorkingSet;
            var (memory, lag) = (0L, 0L);

            var begin = DateTimeOffset.UtcNow + WarmUp;
            var failovers = new List<(DateTimeOffset From, DateTimeOffset Until)>();
            var load = Write(pipeline, Load);
            var watch = Stopwatch.StartNew();
            while (!load.IsCompleted)
            {
                await Task.WhenAny(load, Task.Delay(500));
                if (watch.Elapsed > Load / 6)
                    hanging.Answer = async _ =>
                    {
                        await hang.Task;
                        return 503;
                    };
                if ((failovers.Count == 0 && watch.Elapsed > Load / 3) || (failovers.Count == 1 && watch.Elapsed > Load * 2 / 3))
                {
                    var from = DateTimeOffset.UtcNow;
                    await silo.Kill();
                    await silo.DisposeAsync();
                    silo = await pipeline.Run();
                    await CaughtUp(healthy, pipeline);
                    failovers.Add((from.AddSeconds(-1), DateTimeOffset.UtcNow + WarmUp));
                }

                memory = Math.Max(memory, silo.WorkingSet);
                lag = Math.Max(lag, await Lag(pipeline));
            }

            // Everything is durable: delivered, parked or a dead letter.
            var written = await load;
            await CaughtUp(healthy, pipeline);
            await pipeline.Drained(silo);
            await AssertSums("hanging", hanging, written, pipeline);
            await AssertSums("picky", picky, written, pipeline);
            await AssertSums("healthy", healthy, written, pipeline);
            Assert.Empty(await Counts(pipeline, "SELECT entity_key, events FROM cdc.parked_entities WHERE events > 0 AND sink = 'healthy'"));
            var parked = await Counts(pipeline, "SELECT sink, sum(events) FROM cdc.parked_entities GROUP BY sink");

            // Everybody is well again, except for those that are refused for ever.
            _isRepaired = true;
            hanging.Answer = _ => Task.FromResult(200);
            hang.SetResult();
            watch.Restart();
            await silo.Until(
                async () => (await Counts(pipeline, "SELECT sink, events FROM cdc.parked_entities WHERE events > 0 LIMIT 1")).Count == 0,
                "to deliver what is parked", TimeSpan.FromMinutes(5));
            var drained = watch.Elapsed;

            AssertComplete(healthy, written, _ => false);
            AssertComplete(hanging, written, _ => false);
            AssertComplete(picky, written, IsRefusedForEver);
            Assert.Equal(
                [KeyValuePair.Create("picky", written.Where(w => IsRefusedForEver(w.Key)).Sum(w => w.Value))],
                await Counts(pipeline, "SELECT sink, count(*) FROM cdc.dead_letters GROUP BY sink"));

            var all = healthy.Events.Where(e => e.Commit > begin).ToList();
            var besides = P99(all.Where(e => !failovers.Exists(f => e.Commit >= f.From && e.Commit <= f.Until)));
            TestContext.Current.SendDiagnosticMessage(
                $"{written.Values.Sum()} changes. The healthy sink's p99: {alone.TotalMilliseconds:0.0} ms alone, {besides.TotalMilliseconds:0.0} ms beside the others, "
                + $"{P99(all).TotalMilliseconds:0.0} ms with the {failovers.Sum(f => (f.Until - f.From).TotalSeconds):0} s of the failovers. "
                + $"Memory: {before >> 20} MiB at first, {memory >> 20} at most. The slot's lag: {lag >> 10} KiB at most. "
                + $"Parked at the end: {string.Join(", ", parked.Select(p => $"{p.Key} {p.Value}"))}; delivered {drained.TotalSeconds:0.0} s after the repair.");
            Assert.True(Asked is null || besides < 2 * alone, $"The healthy sink's p99 was {besides} beside the others, and {alone} alone.");
            Assert.InRange(memory, 0, before + (250L << 20));
            Assert.InRange(lag, 0, 64L << 20);
        }
        finally
        {
            await silo.DisposeAsync();
        }
    }

    private int Judge(IReadOnlyList<Got> events)
    {
        if (events.Any(e => IsRefusedForEver(e.Id)))
            return 422;
        return !_isRepaired && events.Any(e => IsRefusedForAWhile(e.Id)) ? 425 : 200;
    }

    private async Task<TimeSpan> HealthyAlone(PostgresServer control)
    {
        await using var receiver = new Receiver();
        await using var pipeline = await Create(control, ("healthy", receiver));
        await using var silo = await pipeline.Run();
        var begin = DateTimeOffset.UtcNow + WarmUp;
        var written = await Write(pipeline, Alone);
        await CaughtUp(receiver, pipeline);
        AssertComplete(receiver, written, _ => false);
        return P99(receiver.Events.Where(e => e.Commit > begin));
    }

    private Task<Pipeline> Create(PostgresServer control, params (string Name, Receiver Receiver)[] sinks) => Pipeline.Create(
        postgres.Server, Schema,
        string.Join('\n', sinks.Select(s => $"{s.Name}: {{ type: webhook, url: \"{s.Receiver.Url}\", secret: {Receiver.Secret}, private_addresses: allow, batch: 100, timeout: 10s }}")),
        control: control,
        routes: string.Join(
            '\n', sinks.Select(s => $"- {{ from: \"shop.public.*\", to: {s.Name}, format: debezium, delivery: {{ inline: 500ms, backoff: {{ first: 500ms, most: 2s }} }} }}")));

    // Writes changes at a steady rate. Returns how often each row was changed.
    private static async Task<Dictionary<int, int>> Write(Pipeline pipeline, TimeSpan time)
    {
        var written = Enumerable.Range(0, Rows).ToDictionary(i => i, _ => 0);
        var random = new Random(1);
        await using var connection = new NpgsqlConnection(pipeline.Database);
        await connection.OpenAsync();
        await using var update = new NpgsqlCommand("UPDATE items SET n = n + 1 WHERE id = ANY ($1)", connection);
        update.Parameters.Add(new NpgsqlParameter<int[]>());
        var watch = Stopwatch.StartNew();
        for (var statement = 0; watch.Elapsed < time; statement++)
        {
            var ids = Enumerable.Range(0, Rows).OrderBy(_ => random.Next()).Take(PerStatement).ToArray();
            ((NpgsqlParameter<int[]>)update.Parameters[0]).TypedValue = ids;
            await update.ExecuteNonQueryAsync();
            foreach (var id in ids)
                written[id]++;
            var due = TimeSpan.FromSeconds((statement + 1) * (double)PerStatement / PerSecond) - watch.Elapsed;
            if (due > TimeSpan.Zero)
                await Task.Delay(due);
        }

        return written;
    }

    // Waits until a receiver has the newest change of every row, as of now.
    private static async Task CaughtUp(Receiver receiver, Pipeline pipeline)
    {
        var rows = await Current(pipeline);
        var watch = Stopwatch.StartNew();
        while (!receiver.HasAll(rows))
        {
            if (watch.Elapsed > TimeSpan.FromMinutes(1))
                throw new TimeoutException($"The receiver did not catch up. {receiver}");
            await Task.Delay(100);
        }
    }

    private static async Task<Dictionary<int, int>> Current(Pipeline pipeline)
    {
        await using var connection = new NpgsqlConnection(pipeline.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT id, n FROM items", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new Dictionary<int, int>();
        while (await reader.ReadAsync())
            rows.Add(reader.GetInt32(0), reader.GetInt32(1));
        return rows;
    }

    // What was delivered of each row, what is parked and what was given up on is what was written.
    private static async Task AssertSums(string sink, Receiver receiver, Dictionary<int, int> written, Pipeline pipeline)
    {
        var parked = await Counts(pipeline, $"SELECT entity_key, events FROM cdc.parked_entities WHERE sink = '{sink}'");
        var letters = await Counts(pipeline, $"SELECT entity_key, count(*) FROM cdc.dead_letters WHERE sink = '{sink}' GROUP BY entity_key");
        var stored = await Counts(pipeline, $"SELECT sink, count(*) FROM cdc.parked_events WHERE sink = '{sink}' GROUP BY sink");
        Assert.Equal(parked.Values.Sum(), stored.GetValueOrDefault(sink));
        var delivered = receiver.Newest;
        foreach (var (id, count) in written)
        {
            var key = id.ToString(CultureInfo.InvariantCulture);
            Assert.True(
                count == delivered.GetValueOrDefault(id) + parked.GetValueOrDefault(key) + letters.GetValueOrDefault(key),
                $"{sink}, row {id}: {count} changes were written; {delivered.GetValueOrDefault(id)} delivered, {parked.GetValueOrDefault(key)} parked, {letters.GetValueOrDefault(key)} dead letters.");
        }
    }

    // A repetition is allowed, a gap or a step back to something that was not sent before is not.
    private static void AssertComplete(Receiver receiver, Dictionary<int, int> written, Predicate<int> isRefused)
    {
        var events = receiver.Events.ToLookup(e => e.Id, e => e.N);
        foreach (var (id, count) in written)
        {
            var newest = 0;
            foreach (var n in events[id])
            {
                if (n > newest + 1)
                    Assert.Fail($"Row {id}: change {n} came after {newest}. {receiver}");
                newest = Math.Max(newest, n);
            }

            Assert.Equal(isRefused(id) ? 0 : count, newest);
        }
    }

    private static TimeSpan P99(IEnumerable<Got> events)
    {
        var latencies = events.Select(e => e.Arrived - e.Commit).Order().ToList();
        return latencies[(int)(latencies.Count * 0.99)];
    }

    private static async Task<long> Lag(Pipeline pipeline) => long.Parse(
        (await PostgresServer.Scalar(
            pipeline.Database, $"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE slot_name = '{pipeline.Slot}'"))!,
        CultureInfo.InvariantCulture);

    private static async Task<Dictionary<string, int>> Counts(Pipeline pipeline, string query)
    {
        await using var connection = new NpgsqlConnection(pipeline.Control);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(query, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var counts = new Dictionary<string, int>();
        while (await reader.ReadAsync())
            counts.Add(reader.GetString(0), Convert.ToInt32(reader.GetValue(1), CultureInfo.InvariantCulture));
        return counts;
    }
}
