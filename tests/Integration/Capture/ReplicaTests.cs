using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

/// <summary>Chunks that are read at a standby, and servers that are none.</summary>
public sealed class ReplicaTests(ReplicaServers servers) : IClassFixture<ReplicaServers>
{
    private const string Items = "CREATE TABLE items (id int PRIMARY KEY, v int, name text)";

    [Fact]
    public async Task The_rows_have_what_the_snapshot_says_and_nothing_from_behind_the_fence()
    {
        await using var capture = await servers.Capture(Items + "; INSERT INTO items SELECT n, 0, 'n' FROM generate_series(1, 100) n");
        await capture.Start();

        // One transaction stays open below all others, with more subtransactions than the standby is told of each by its own.
        await using var open = new NpgsqlConnection(capture.Database + ";Pooling=false");
        await open.OpenAsync(TestContext.Current.CancellationToken);
        await Run(open, "BEGIN");
        await Run(open, "DO $$ BEGIN FOR i IN 1..100 LOOP BEGIN UPDATE items SET v = -i WHERE id = 100; EXCEPTION WHEN division_by_zero THEN END; END LOOP; END $$");
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 3).Select(w => Write(capture, w, stop.Token)).ToList();
        await ReplicaServers.Until(capture, "(SELECT max(v) > 3 FROM items)");
        var read = new List<TableChunk>();
        for (var i = 0; i < 8; i++)
            read.AddRange(await capture.ReadAll("public.items", rows: 30));
        await stop.CancelAsync();
        var written = (await Task.WhenAll(writers)).Sum();
        await Run(open, "COMMIT");

        var changes = new List<RowChange>();
        while (changes.Count < written + 100)
            changes.AddRange((await capture.NextTransaction()).Changes);
        var ahead = 0;
        foreach (var chunk in read)
        {
            Assert.True(chunk.IsFromReplica);
            foreach (var row in chunk.Rows)
            {
                // Which of its changes the row has, is seen by its value. All of them are before the fence.
                var own = changes.Where(c => c.Entity == row.Entity).ToList();
                var had = own.FindLastIndex(c => Values(c.After)[1] == Values(row.Row)[1]) + 1;
                Assert.True(had > 0 || Values(row.Row)[1] == "0", $"{row.Entity.Key} has {Values(row.Row)[1]}");
                var visible = own.Where(c => chunk.Snapshot.Snapshot.IsVisible(TransactionIds.Widen(c.Transaction.Xid, chunk.Snapshot.Snapshot.Xmax))).ToList();
                Assert.Equal(own.Take(visible.Count), visible);
                Assert.InRange(visible.Count, 0, had);
                Assert.All(own.Take(had), c => Assert.True(c.Version.CommitLsn < chunk.Snapshot.Fence));
                ahead += had - visible.Count;
            }
        }

        // The standby's own text of the snapshot would say that the open transaction is visible.
        Assert.True(ahead > 50, $"{ahead} changes were visible beside the open transaction");
    }

    [Fact]
    public async Task Rows_are_read_when_the_replica_has_the_horizon()
    {
        await using var capture = await servers.Capture("CREATE TABLE other (id int PRIMARY KEY)");
        await capture.Start();
        await ReplicaServers.Until(capture, "to_regclass('other') IS NOT NULL");
        await PostgresServer.Execute(servers.Standby.Connection(), "SELECT pg_wal_replay_pause()");
        await PostgresServer.Execute(capture.Database, $"{Items}; ALTER TABLE items DROP COLUMN name; ALTER TABLE items ADD note text DEFAULT 'new'; INSERT INTO items SELECT n, n FROM generate_series(1, 20) n");
        await capture.Capture.Watch(TestContext.Current.CancellationToken);
        Assert.Equal("public.items", (await capture.Plan("public.items")).Table.FullName);
        var horizon = await capture.Chunks.TakeHorizon(TestContext.Current.CancellationToken);
        var unsettled = await capture.Chunks.Unsettled(horizon, TestContext.Current.CancellationToken);
        Assert.Matches(
            @"^backfill of sources\.\w+ waits until replica reporting \(127\.0\.0\.1:\d+ \(user postgres, database \w+\)\) has everything from before its start: it has replayed the log up to \w+/\w+, \d+ bytes less than the source has, and the last transaction that it has was committed \d+ s ago\. Its replay is paused; to go on, run SELECT pg_wal_replay_resume\(\); there\.$",
            unsettled);
        var early = await Assert.ThrowsAsync<CaptureException>(() => Read(capture, horizon));
        Assert.True(early.Transient, early.Message);
        Assert.Contains("waits until replica reporting", early.Message, StringComparison.Ordinal);

        await PostgresServer.Execute(servers.Standby.Connection(), "SELECT pg_wal_replay_resume()");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await capture.Chunks.Unsettled(horizon, patience.Token) is not null)
            await Task.Delay(10, patience.Token);
        var chunk = await Read(capture, horizon);
        Assert.Equal(20, chunk.Rows.Count);
        Assert.Equal(["1", "1", "new"], Values(chunk.Rows[0].Row));

        // The schema is the one that the stream has, and that reading at the source makes.
        await capture.Execute("INSERT INTO items VALUES (21, 21)");
        var change = (await capture.NextTransaction()).Changes[^1];
        await using var direct = capture.Again(s => s with { BackfillReplica = null });
        foreach (var table in new[] { chunk.Table, (await direct.ReadAll("public.items"))[0].Table })
            Assert.Equal((change.Table.TableId, change.Table.Version), (table.TableId, table.Version));
    }

    [Fact]
    public async Task A_server_that_is_no_standby_of_the_source_is_not_read()
    {
        await using var capture = await servers.Capture(Items);
        await capture.Start();
        await capture.Execute("CREATE ROLE plain LOGIN; GRANT SELECT ON items TO plain");
        await ReplicaServers.Until(capture, "has_table_privilege('plain', 'items', 'SELECT')");
        var other = await PostgresServer.Start();
        await using (other)
        {
            await Refused(capture, capture.Database, isTransient: true, "is not a standby: it was promoted, or it is the source itself. Nothing is read from it");
            await Refused(capture, servers.Standby.Connection(), isTransient: false, "leads to database postgres, which is not a copy of the source's database db");
            await Refused(capture, other.Connection(), isTransient: false, "is a copy of another server (system identifier");
            await Refused(capture, $"{ReplicaServers.OnStandby(capture)};Username=plain", isTransient: false, "refused while asking for its timeline", isSeenWhileWaiting: false);
        }

        await Refused(capture, other.Connection(), isTransient: true, "Check that the server runs and can be reached from here");

        // A server that was promoted, and one that follows it.
        await using var promoted = await servers.Primary.Standby();
        await promoted.Promote();
        await Refused(capture, On(promoted), isTransient: true, "is not a standby: it was promoted");
        await using var follower = await promoted.Standby();
        await Refused(capture, On(follower), isTransient: true, "replays timeline 2 (from 0/", isSeenWhileWaiting: false);

        string On(PostgresServer server) => capture.Database.Replace($"Port={servers.Primary.Port}", $"Port={server.Port}", StringComparison.Ordinal);
    }

    private static async Task Refused(CaptureUnderTest capture, string replica, bool isTransient, string expected, bool isSeenWhileWaiting = true)
    {
        await using var wrong = capture.Again(s => s with { Replicas = new Dictionary<string, string> { ["reporting"] = $"{replica};Password=geheim;Pooling=false" } });
        Func<Task>[] whileWaiting = isSeenWhileWaiting ? [() => wrong.Chunks.Unsettled(BackfillHorizon.None, TestContext.Current.CancellationToken)] : [];
        foreach (var ask in (Func<Task>[])[() => wrong.Plan("public.items"), () => wrong.ReadAll("public.items"), .. whileWaiting])
        {
            var refused = await Assert.ThrowsAsync<CaptureException>(ask);
            Assert.StartsWith($"sources.{capture.Source.Name}.postgres.replicas.reporting: ", refused.Message, StringComparison.Ordinal);
            Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("geheim", refused.ToString(), StringComparison.Ordinal);
            Assert.Equal(isTransient, refused.Transient);
        }
    }

    private static Task<TableChunk> Read(CaptureUnderTest capture, BackfillHorizon horizon) => capture.Chunks.Read(
        new ChunkRequest { Scope = ChunkExtensions.Scope("public.items"), Horizon = horizon }, TestContext.Current.CancellationToken);

    private static async Task<int> Write(CaptureUnderTest capture, int writer, CancellationToken stop)
    {
        var written = 0;
        await using var connection = new NpgsqlConnection(capture.Database + ";Pooling=false");
        await connection.OpenAsync(CancellationToken.None);
        while (!stop.IsCancellationRequested)
        {
            // Each writer has rows of its own, so a row has each value once.
            await Run(connection, $"UPDATE items SET v = {written / 30 + 1} WHERE id = {(written % 30 * 3) + writer + 1}");
            written++;
        }

        return written;
    }

    private static async Task Run(NpgsqlConnection connection, string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }
}

/// <summary>A server and a standby of it; each test takes a database of its own.</summary>
public sealed class ReplicaServers : IAsyncLifetime
{
    private int _databases;

    public PostgresServer Primary { get; private set; } = null!;

    public PostgresServer Standby { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Primary = await PostgresServer.Start();
        Standby = await Primary.Standby();
    }

    public async ValueTask DisposeAsync()
    {
        await Standby.DisposeAsync();
        await Primary.DisposeAsync();
    }

    /// <summary>A capture of a new database with the given tables, whose chunks are read at the standby.</summary>
    internal async Task<CaptureUnderTest> Capture(string schema)
    {
        var name = $"db{Interlocked.Increment(ref _databases)}";
        var database = await Primary.CreateDatabase(name);
        await PostgresServer.Execute(database, schema);
        return new CaptureUnderTest(
            name, database, ["public.*"], null,
            s => s with { Replicas = new Dictionary<string, string> { ["reporting"] = Standby.Connection(name) }, BackfillReplica = "reporting" });
    }

    /// <summary>The connection string of a capture's database on the standby.</summary>
    internal static string OnStandby(CaptureUnderTest capture) => capture.Source.Replicas["reporting"];

    /// <summary>Waits for a condition of the standby.</summary>
    internal static async Task Until(CaptureUnderTest capture, string condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            try
            {
                if (await PostgresServer.Scalar(OnStandby(capture), $"SELECT ({condition})::text") is "true" or "True")
                    return;
            }
            catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InvalidCatalogName or PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedObject)
            {
                // The standby does not have it yet.
            }

            await Task.Delay(20, patience.Token);
        }
    }
}
