using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Backfills of real tables while the log streams: what the sink has in the end is what the table has.</summary>
public sealed class BackfillTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    internal const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int, t text); ALTER TABLE doc ALTER t SET STORAGE EXTERNAL";

    [Fact]
    public async Task Rows_that_existed_before_come_once_with_their_marks()
    {
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, 'x' FROM generate_series(1, 25000) AS i");
        var backfill = await Done(cluster, await Add(cluster, BackfillKind.Initial));
        var table = Assert.Single(backfill.Tables);
        Assert.Equal((25000, 25000, 0, 0, 0), (table.RowsDone, table.Sent, table.Unchanged, table.Parked, table.Refused));
        Assert.Empty(table.Again);
        var events = cluster.Delivered.Select(d => d.Event).ToList();
        Assert.Equal(25000, events.Count);
        Assert.Equal(25000, events.Select(e => e.Entity.Key).Distinct().Count());
        Assert.All(events, e => Assert.Equal((EventOrigin.Backfill, "r"), (e.Origin, Operation(e))));
        var marks = events.GroupBy(e => Json(e).GetProperty("source").GetProperty("snapshot").GetString()!).ToDictionary(g => g.Key, g => g.ToList());
        Assert.Equal("1", Assert.Single(marks["first"]).Entity.Key);
        Assert.Equal("25000", Assert.Single(marks["last"]).Entity.Key);
        Assert.Equal(24998, marks["true"].Count);

        // The stream goes on behind it, with the row before from the backfill.
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1 WHERE id = 7");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Count == 25001), "the update");
        var update = Json(cluster.Delivered.Last().Event);
        Assert.Equal((0, 1), (update.GetProperty("before").GetProperty("n").GetInt32(), update.GetProperty("after").GetProperty("n").GetInt32()));
    }

    // A partition has memory for a few parts of chunks only.
    [Fact]
    public async Task Tables_that_are_read_at_the_same_time_with_little_memory_come_whole_and_with_their_marks()
    {
        string[] tables = ["public.a", "public.doc", "public.z"];
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1,
            $"{Schema}; CREATE TABLE a (LIKE doc INCLUDING ALL); CREATE TABLE z (LIKE doc INCLUDING ALL);"
            + string.Concat(tables.Select(t => $"INSERT INTO {t} SELECT i, 0, repeat('x', 1000) FROM generate_series(1, 250) AS i;")),
            s => s with { WindowBytes = 256 << 10, MemoryBytes = 512 << 10, Backfill = new BackfillOptions { Parallel = 3 } });
        var backfill = await Done(cluster, await Add(cluster, BackfillKind.Initial, tables: tables));
        Assert.All(backfill.Tables, t => Assert.Equal((250, 250, 0), (t.RowsDone, t.Sent, t.Unchanged)));
        var events = cluster.Delivered.Select(d => (d.Event.Entity, Mark: Json(d.Event).GetProperty("source").GetProperty("snapshot").GetString())).ToList();
        Assert.Equal(750, events.Select(e => e.Entity).Distinct().Count());
        Assert.Equal("public.a", events[0].Entity.Table);
        Assert.Equal(("public.z", "250", "last"), (events[^1].Entity.Table, events[^1].Entity.Key, events[^1].Mark));
        Assert.Equal(
            ["public.a 1 first", "public.a 250 last_in_data_collection", "public.doc 1 first_in_data_collection", "public.doc 250 last_in_data_collection", "public.z 1 first_in_data_collection", "public.z 250 last"],
            events.Where(e => e.Mark != "true").Select(e => $"{e.Entity.Table} {e.Entity.Key} {e.Mark}").Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task While_rows_change_the_sink_becomes_the_table(short silos)
    {
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, repeat('x', 3000) FROM generate_series(1, 3000) AS i", silos);
        using var stop = new CancellationTokenSource();
        var load = Task.WhenAll(Load(cluster.Source, 1, stop.Token), Load(cluster.Source, 2, stop.Token));
        for (var i = 0; i < 3; i++)
            await Done(cluster, await Add(cluster, i == 0 ? BackfillKind.Initial : BackfillKind.Rows));
        await stop.CancelAsync();
        await load;
        await CaughtUp(cluster);
        await SameAsTable(cluster);
        Assert.Contains(cluster.Delivered, d => d.Event.Origin == EventOrigin.Stream);
    }

    [Fact]
    public async Task A_backfill_goes_on_when_its_silo_is_killed()
    {
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, repeat('x', 300) FROM generate_series(1, 12000) AS i", silos: 2);
        using var stop = new CancellationTokenSource();
        var load = Load(cluster.Source, 1, stop.Token);
        var id = await Add(cluster, BackfillKind.Initial, rate: 4000);
        await InProcessCluster.Until(async () => (await Get(cluster, id)).Tables[0].RowsDone is > 1000 and < 9000, "some rows");
        await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos[0]);
        await Done(cluster, id);
        await stop.CancelAsync();
        await load;
        await CaughtUp(cluster);
        await SameAsTable(cluster);
    }

    [Fact]
    public async Task A_repair_tells_only_what_differs_and_a_verification_only_counts_it()
    {
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, 'x' FROM generate_series(1, 2000) AS i");
        await Done(cluster, await Add(cluster, BackfillKind.Initial));
        await Hidden(cluster.Source, "UPDATE doc SET n = 5 WHERE id <= 10", "DELETE FROM doc WHERE id BETWEEN 11 AND 14", "INSERT INTO doc VALUES (5001, 1, 'new')");
        cluster.Delivered.Clear();
        var verified = (await Done(cluster, await Add(cluster, BackfillKind.Verify))).Tables[0];
        Assert.Equal((1, 10, 4), (verified.Created, verified.Updated, verified.Deleted));
        Assert.Empty(cluster.Delivered);

        var repaired = (await Done(cluster, await Add(cluster, BackfillKind.Repair))).Tables[0];
        Assert.Equal((1, 10, 4, 0), (repaired.Created, repaired.Updated, repaired.Deleted, repaired.Sent));
        var events = cluster.Delivered.Select(d => d.Event).Where(e => e.Value is not null).ToList();
        Assert.Equal(15, events.Count);
        Assert.Equal(["c", "d", "u"], events.Select(Operation).Distinct().Order());
        Assert.All(events.Where(e => Operation(e) == "u"), e => Assert.Equal(0, Json(e).GetProperty("before").GetProperty("n").GetInt32()));
        Assert.All(events, e => Assert.Equal(EventOrigin.Backfill, e.Origin));
        var again = (await Done(cluster, await Add(cluster, BackfillKind.Verify))).Tables[0];
        Assert.Equal((0, 0, 0), (again.Created, again.Updated, again.Deleted));
    }

    [Fact]
    public async Task One_row_is_read_again_and_one_that_is_gone_is_deleted()
    {
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, 'x' FROM generate_series(1, 5) AS i");
        await Done(cluster, await Add(cluster, BackfillKind.Initial));
        await Hidden(cluster.Source, "DELETE FROM doc WHERE id = 2");
        cluster.Delivered.Clear();
        var table = (await Done(cluster, await Add(cluster, BackfillKind.Rows, ["1", "2", "99"]))).Tables[0];
        Assert.Equal((1, 1), (table.Sent, table.Deleted));
        Assert.Equal(["1 r", "2 d"], cluster.Delivered.Where(d => d.Event.Value is not null).Select(d => $"{d.Event.Entity.Key} {Operation(d.Event)}").Order());
    }

    [Fact]
    public async Task After_a_gap_was_accepted_what_differs_is_told_and_nothing_else()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, $"{Schema}; INSERT INTO doc SELECT i, 0, repeat('x', 3000) FROM generate_series(1, 1000) AS i",
            s => s with { Backfill = new BackfillOptions { Mode = BackfillMode.WhenNeeded } });
        await InProcessCluster.Until(async () => await cluster.Control.Backfills.Get(1, default) is { State: BackfillState.Done }, "the first backfill");
        Assert.Equal(1000, cluster.Delivered.Count);
        var slot = await PostgresServer.Scalar(cluster.Source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()");
        await InProcessCluster.Until(() => Dropped(cluster.Source, slot!), "the slot to be dropped");
        await PostgresServer.Execute(
            cluster.Source, "UPDATE doc SET n = 5 WHERE id <= 10; DELETE FROM doc WHERE id BETWEEN 11 AND 14; INSERT INTO doc VALUES (5001, 1, 'new'); UPDATE doc SET id = 6001 WHERE id = 20");
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await InProcessCluster.Until(async () => (await reader.GetStatus()).State == SourceState.Failed, "the gap to be reported");
        cluster.Delivered.Clear();
        await PostgresServer.Scalar(cluster.Control.Connection, "SELECT cdc.accept_gap('shop')");
        await InProcessCluster.Until(async () => await cluster.Control.Backfills.Get(2, default) is { State: BackfillState.Done }, "the repair");
        var repair = await Get(cluster, 2);
        Assert.Equal((BackfillKind.Repair, "configuration"), (repair.Kind, repair.Who));
        Assert.Equal((2, 10, 5, 985), (repair.Tables[0].Created, repair.Tables[0].Updated, repair.Tables[0].Deleted, repair.Tables[0].Unchanged));
        var told = cluster.Delivered.Select(d => d.Event).Where(e => e.Value is not null).Select(e => $"{e.Entity.Key} {Operation(e)}").Order().ToList();
        string[] expected = [.. Enumerable.Range(1, 10).Select(i => $"{i} u"), "11 d", "12 d", "13 d", "14 d", "20 d", "5001 c", "6001 c"];
        Assert.Equal(expected.Order(), told);

        // What was only confirmed completes the next events again.
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 7 WHERE id = 500");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => d.Event.Entity.Key == "500")), "the update");
        var update = Json(cluster.Delivered.Last().Event);
        Assert.Equal(3000, update.GetProperty("after").GetProperty("t").GetString()!.Length);
        Assert.Equal(0, update.GetProperty("before").GetProperty("n").GetInt32());
        Assert.Empty(await cluster.Control.Backfills.AfterGap("shop", ["public.doc"], default));
    }

    // Between two readers of it.
    private static async Task<bool> Dropped(string source, string slot)
    {
        try
        {
            await PostgresServer.Execute(source, $"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active; SELECT pg_sleep(0.01)");
            await PostgresServer.Execute(source, $"SELECT pg_drop_replication_slot('{slot}')");
            return true;
        }
        catch (PostgresException inUse) when (inUse.SqlState == PostgresErrorCodes.ObjectInUse)
        {
            return false;
        }
    }

    private Task<InProcessCluster> Start(string rows, short silos = 1, EntityMode mode = EntityMode.Row) => InProcessCluster.Start(
        control, sources.Server, silos, $"{Schema}; {rows}; ANALYZE doc",
        s => s with { Tables = [new TableSelection { Pattern = "public.*", Entities = mode }] });

    internal static async Task<long> Add(InProcessCluster cluster, BackfillKind kind, string[]? keys = null, int rate = 0, params string[] tables)
    {
        await cluster.Streaming();
        tables = tables.Length == 0 ? ["public.doc"] : tables;
        var (backfill, isNew) = await cluster.Control.Backfills.Add(
            new StoredBackfill
            {
                Source = "shop", Kind = kind, Patterns = tables, Rate = rate, Who = "test",
                Tables = [.. tables.Select((t, i) => new BackfillTable { Place = i, Table = t, Keys = keys })],
            },
            CancellationToken.None);
        Assert.True(isNew);
        await cluster.Cluster.Client.GetGrain<IBackfillGrain>(backfill.Id).EnsureRunning();
        return backfill.Id;
    }

    internal static async Task<StoredBackfill> Get(InProcessCluster cluster, long id) => (await cluster.Control.Backfills.Get(id, CancellationToken.None))!;

    internal static async Task<StoredBackfill> Done(InProcessCluster cluster, long id)
    {
        try
        {
            await InProcessCluster.Until(async () => (await Get(cluster, id)).State != BackfillState.Running, "the backfill to end");
        }
        catch
        {
            TestContext.Current.TestOutputHelper?.WriteLine((await Get(cluster, id)).ToString());
            throw;
        }

        var done = await Get(cluster, id);
        Assert.True(done.State == BackfillState.Done, done.Error);
        return done;
    }

    // Changes that no stream tells: their transactions are not decoded, because the publication does not have the table then.
    private static async Task Hidden(string source, params string[] statements)
    {
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(
            "SET session_replication_role = replica; BEGIN; ALTER PUBLICATION cdc SET (publish = ''); " + string.Join(';', statements)
            + "; ALTER PUBLICATION cdc SET (publish = 'insert, update, delete, truncate'); COMMIT", connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    internal static async Task Load(string source, int seed, CancellationToken stop)
    {
        var dice = new Random(seed);
        await using var connection = new NpgsqlConnection(source);
        await connection.OpenAsync(CancellationToken.None);
        while (!stop.IsCancellationRequested)
        {
            var id = 1 + dice.Next(3500);
            var statement = dice.Next(6) switch
            {
                0 => $"INSERT INTO doc VALUES ({id}, {dice.Next(1000)}, repeat('y', {dice.Next(4000)})) ON CONFLICT DO NOTHING",
                1 => $"DELETE FROM doc WHERE id = {id}",
                2 => $"UPDATE doc SET id = {1 + dice.Next(3500)} WHERE id = {id} AND NOT EXISTS (SELECT FROM doc WHERE id = {id + 1})",
                3 => $"UPDATE doc SET t = repeat('z', {dice.Next(4000)}) WHERE id = {id}",
                _ => $"UPDATE doc SET n = n + 1 WHERE id BETWEEN {id} AND {id + dice.Next(5)}",
            };
            try
            {
                await using var command = new NpgsqlCommand(statement, connection);
                await command.ExecuteNonQueryAsync(CancellationToken.None);
            }
            catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected)
            {
                // Two rows may not have one key.
            }
        }
    }

    internal static async Task CaughtUp(InProcessCluster cluster)
    {
        await using var connection = new NpgsqlConnection(cluster.Source);
        await connection.OpenAsync(CancellationToken.None);
        await using var command = new NpgsqlCommand("SELECT pg_current_wal_insert_lsn()::text", connection);
        var end = Model.Changes.Lsn.Parse((string)(await command.ExecuteScalarAsync(CancellationToken.None))!);
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await InProcessCluster.Until(
            async () =>
            {
                await reader.WriteHeartbeat();
                return (await reader.GetStatus()).ConfirmedLsn >= end;
            },
            "the stream to catch up");
    }

    internal static async Task SameAsTable(InProcessCluster cluster)
    {
        var rows = new Dictionary<string, string>();
        await using var connection = new NpgsqlConnection(cluster.Source);
        await connection.OpenAsync(CancellationToken.None);
        await using var command = new NpgsqlCommand("SELECT id, n, t FROM doc", connection);
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        while (await reader.ReadAsync())
            rows.Add(reader.GetInt32(0).ToString(CultureInfo.InvariantCulture), $"{reader.GetInt32(1)} {reader.GetString(2)}");

        // A sink that keeps what comes last, and one that keeps the highest version.
        var ordered = new Dictionary<string, string>();
        var compared = new Dictionary<string, (Model.Changes.ChangeVersion Version, string? Row)>();
        foreach (var (_, _, made) in cluster.Delivered.Where(d => d.Event.Value is not null))
        {
            var after = Json(made).GetProperty("after");
            var row = after.ValueKind == JsonValueKind.Null ? null : $"{after.GetProperty("n").GetInt32()} {after.GetProperty("t").GetString()}";
            if (row is null)
                ordered.Remove(made.Entity.Key);
            else
                ordered[made.Entity.Key] = row;
            if (!compared.TryGetValue(made.Entity.Key, out var known) || made.Version >= known.Version)
                compared[made.Entity.Key] = (made.Version, row);
        }

        Assert.Equal(rows.OrderBy(r => r.Key, StringComparer.Ordinal), ordered.OrderBy(r => r.Key, StringComparer.Ordinal));
        Assert.Equal(
            rows.OrderBy(r => r.Key, StringComparer.Ordinal),
            compared.Where(c => c.Value.Row is not null).Select(c => KeyValuePair.Create(c.Key, c.Value.Row!)).OrderBy(r => r.Key, StringComparer.Ordinal));
    }

    private static JsonElement Json(SinkEvent made) => JsonDocument.Parse(Encoding.UTF8.GetString(made.Value!)).RootElement;

    private static string Operation(SinkEvent made) => Json(made).GetProperty("op").GetString()!;
}
