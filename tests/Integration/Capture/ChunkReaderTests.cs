using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

/// <summary>Snapshots, bounds and refusals of chunks.</summary>
public sealed class ChunkReaderTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    private const string Items = "CREATE TABLE items (id int PRIMARY KEY, v int, name text)";

    [Fact]
    public async Task The_snapshot_tells_which_changes_of_the_stream_the_rows_include()
    {
        await using var capture = await server.Capture(Items);
        await capture.Execute("INSERT INTO items SELECT n, 0, 'n' FROM generate_series(1, 50) n");
        await capture.Start();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 3).Select(w => Write(capture, w, stop.Token)).ToList();

        var read = new List<TableChunk>();
        for (var i = 0; i < 12; i++)
            read.AddRange(await capture.ReadAll("public.items", rows: 20));
        await stop.CancelAsync();
        var written = (await Task.WhenAll(writers)).Sum();

        // The row of each chunk is that after the changes that its snapshot shows, and no change at or after its fence is visible.
        var changes = new List<RowChange>();
        while (changes.Count < written)
            changes.AddRange((await capture.NextTransaction()).Changes);
        foreach (var chunk in read)
        {
            foreach (var row in chunk.Rows)
            {
                var own = changes.Where(c => c.Entity == row.Entity).ToList();
                var visible = own.Where(c => chunk.Snapshot.Snapshot.IsVisible(Xid(chunk, c))).ToList();
                Assert.Equal(own.Take(visible.Count), visible);
                Assert.All(visible, c => Assert.True(c.Version.CommitLsn < chunk.Snapshot.Fence));
                Assert.Equal(visible.Count == 0 ? "0" : Values(visible[^1].After)[1], Values(row.Row)[1]);
            }
        }

        Assert.True(changes.Count > 100, $"{changes.Count} changes");
    }

    [Fact]
    public async Task A_commit_that_is_in_the_log_and_not_visible_yet_is_not_included()
    {
        await using var waiting = await PostgresServer.Start();
        var database = await waiting.CreateDatabase("held");
        await PostgresServer.Execute(database, Items + "; INSERT INTO items VALUES (1, 0, 'old')");
        await using var capture = new CaptureUnderTest("held", database, ["public.*"]);
        await capture.Start();

        // A standby that does not exist holds back the visibility, and not the commit record.
        await PostgresServer.Execute(waiting.Connection(), "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        await PostgresServer.Execute(waiting.Connection(), "SELECT pg_reload_conf()");
        await capture.Until("current_setting('synchronous_standby_names') = 'nobody'");
        var update = capture.Execute("UPDATE items SET v = 1, name = 'new'");
        var (changes, _) = await capture.NextTransaction();
        var chunk = Assert.Single(await capture.ReadAll("public.items"));

        Assert.Equal("old", Values(Assert.Single(chunk.Rows).Row)[2]);
        Assert.True(changes[0].Version.CommitLsn < chunk.Snapshot.Fence);
        Assert.False(chunk.Snapshot.Snapshot.IsVisible(Xid(chunk, changes[0])));
        var horizon = await capture.Chunks.TakeHorizon(TestContext.Current.CancellationToken);
        Assert.Contains("waits until the transactions", await capture.Chunks.Unsettled(horizon, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.True((await Assert.ThrowsAsync<CaptureException>(() => Read(capture, r => r with { Horizon = horizon }))).Transient);

        await PostgresServer.Execute(waiting.Connection(), "ALTER SYSTEM RESET synchronous_standby_names");
        await PostgresServer.Execute(waiting.Connection(), "SELECT pg_reload_conf()");
        await update;
        Assert.Null(await capture.Chunks.Unsettled(horizon, TestContext.Current.CancellationToken));
        chunk = await Read(capture, r => r with { Horizon = horizon });
        Assert.Equal("new", Values(Assert.Single(chunk.Rows).Row)[2]);
        Assert.True(chunk.Snapshot.Includes(changes[0].Version.CommitLsn, Xid(chunk, changes[0])));
    }

    [Fact]
    public async Task Rows_of_a_commit_that_is_not_flushed_are_not_given_out()
    {
        await using var capture = await server.Capture(Items);
        await capture.Start();
        for (var i = 0; i < 20; i++)
        {
            await capture.Execute($"SET synchronous_commit TO off; INSERT INTO items VALUES ({i}, 1, 'x')");
            var chunks = await capture.ReadAll("public.items");
            Assert.Equal(i + 1, chunks.Sum(c => c.Rows.Count));
            Assert.Equal("True", await capture.Scalar($"SELECT pg_current_wal_flush_lsn() >= '{chunks[^1].Snapshot.Fence}'"));
        }
    }

    [Fact]
    public async Task Columns_and_a_filter_are_applied()
    {
        await using var capture = await server.Capture(Items);
        await capture.Start();
        await capture.Execute("INSERT INTO items SELECT n, n % 3, 'it''s ' || n FROM generate_series(1, 30) n; ANALYZE items");

        BackfillScope Filtered(BackfillScope s) => s with { Where = "v IN (1, 2) and name <> 'it''s 4' AND (id)::text NOT LIKE '2%'", Columns = ["name"] };
        Assert.InRange((await capture.Plan("public.items", Filtered)).EstimatedRows, 1, 30);
        var rows = (await capture.ReadAll("public.items", rows: 4, scope: Filtered)).ByKey();

        Assert.Equal(Enumerable.Range(1, 30).Where(n => n % 3 != 0 && n != 4 && n / 10 != 2 && n != 2).Select(n => $"{n}").Order(), rows.Keys.Order());
        Assert.Equal(["7", "(unchanged)", "it's 7"], Values(rows["7"].Row));
    }

    private static readonly (string Where, string Reason)[] Refusals =
    [
        ("v >", "is not a condition that the server accepts"),
        ("nothing = 1", "column \"nothing\" does not exist"),
        ("v + 1", "must be type boolean"),
        ("v = 'many'", "invalid input syntax"),
        ("true) OR (true", "parenthesis"),
        ("true); DROP TABLE items; SELECT (1", "parenthesis"),
        ("true) UNION SELECT id, v, name FROM items --", "parenthesis"),
        ("(true", "parenthesis that is not closed"),
        ("true; DROP TABLE items", "semicolon"),
        ("true -- and so on", "comment"),
        ("true /* ) */", "comment"),
        ("name = 'open", "not closed"),
        ("name = $$x$$", "$"),
        ("name = E'\\') OR true --'", "backslash escapes"),
        ("pg_sleep(10) IS NULL", "pg_sleep, which is volatile"),
        ("pg_catalog.\"pg_terminate_backend\" (1)", "pg_terminate_backend, which is volatile"),
        ("U&\"pg\\005fsleep\"(1) IS NULL", "Unicode escapes"),
        ("id IN (SELECT v FROM items)", "the word SELECT at character 8"),
        ("EXISTS (table items)", "the word TABLE"),
        ("", "is empty"),
    ];

    [Fact]
    public async Task A_filter_that_is_not_one_harmless_condition_is_refused()
    {
        await using var capture = await server.Capture(Items);
        await capture.Start();
        await capture.Execute("INSERT INTO items VALUES (1, 1, 'one')");
        foreach (var (where, reason) in Refusals)
        {
            var refusal = await Assert.ThrowsAsync<CaptureException>(() => capture.Plan("public.items", s => s with { Where = where }));
            Assert.False(refusal.Transient);
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
            Assert.Contains("public.items", refusal.Message, StringComparison.Ordinal);

            // Nor is it read with it, if it was never planned.
            await Assert.ThrowsAsync<CaptureException>(() => Read(capture, r => r with { Scope = r.Scope with { Where = where } }));
        }

        Assert.Equal("1", await capture.Scalar("SELECT count(*) FROM items"));
    }

    [Fact]
    public async Task What_cannot_be_read_is_refused_with_its_remedy()
    {
        await using var capture = await server.Capture(
            Items + "; CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE foreign_key (id int PRIMARY KEY); CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int PRIMARY KEY)", "public.items", "public.other");
        await capture.Start();

        await Refused("public.nothing", "does not exist");
        await Refused("hidden.t", "is not selected by sources.");
        await capture.Execute($"ALTER PUBLICATION \"{capture.Source.Publication.Replace("\"", "\"\"", StringComparison.Ordinal)}\" DROP TABLE other");
        await Refused("public.other", "ADD TABLE \"public\".\"other\"");
        await Refused("public.items", "has no captured column 'none'", s => s with { Columns = ["none"] });

        async Task Refused(string table, string reason, Func<BackfillScope, BackfillScope>? scope = null)
        {
            var refusal = await Assert.ThrowsAsync<CaptureException>(() => capture.Plan(table, scope));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
            Assert.Contains(table, refusal.Message, StringComparison.Ordinal);
            Assert.False(refusal.Transient);
        }
    }

    [Fact]
    public async Task A_right_that_is_missing_and_rows_that_a_policy_hides_are_named()
    {
        await using var capture = await server.Capture(Items + "; INSERT INTO items VALUES (1, 1, 'one'), (2, 2, 'two')");
        await capture.Start();
        var role = $"reader_{capture.Source.Name}";
        await capture.Execute($"CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON items TO {role}");
        await using var asReader = capture.Again(s => s with { Connection = new NpgsqlConnectionStringBuilder(s.Connection) { Username = role }.ConnectionString });
        Assert.Equal(2, (await asReader.ReadAll("public.items")).Sum(c => c.Rows.Count));

        await capture.Execute("ALTER TABLE items ENABLE ROW LEVEL SECURITY");
        Assert.Contains("BYPASSRLS", (await Assert.ThrowsAsync<CaptureException>(() => Read(asReader))).Message, StringComparison.Ordinal);
        await capture.Execute($"ALTER TABLE items DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON items FROM {role}");
        Assert.Contains("GRANT SELECT ON \"public\".\"items\"", (await Assert.ThrowsAsync<CaptureException>(() => Read(asReader))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_that_is_altered_between_two_chunks_is_read_on_and_one_that_is_created_again_is_refused()
    {
        await using var capture = await server.Capture(Items + "; INSERT INTO items SELECT n, n, 'x' FROM generate_series(1, 10) n");
        await capture.Start();
        var first = await Read(capture, r => r with { Bounds = new ChunkBounds { Rows = 4 } });
        await capture.Execute("ALTER TABLE items DROP COLUMN v; ALTER TABLE items ADD w int DEFAULT 7");
        var second = await Read(capture, r => r with { Relation = first.Table.RelationOid, After = first.Next, Bounds = new ChunkBounds { Rows = 4 } });

        Assert.Equal(["1", "2", "3", "4"], first.Rows.Select(r => r.Entity.Key));
        Assert.Equal(["5", "6", "7", "8"], second.Rows.Select(r => r.Entity.Key));
        Assert.Equal(["id", "name", "w"], second.Table.Columns.Select(c => c.Name));
        Assert.Equal(["5", "x", "7"], Values(second.Rows[0].Row));

        await capture.Execute("TRUNCATE items");
        var truncated = await Read(capture, r => r with { Relation = first.Table.RelationOid, After = second.Next });
        Assert.Empty(truncated.Rows);
        Assert.Contains("truncated", truncated.Altered, StringComparison.Ordinal);
        await capture.Execute($"DROP TABLE items; {Items.Replace("id int", "id bigint", StringComparison.Ordinal)}");
        await capture.Capture.Watch(TestContext.Current.CancellationToken);
        var refusal = await Assert.ThrowsAsync<CaptureException>(() => Read(capture, r => r with { Relation = first.Table.RelationOid, After = second.Next }));
        Assert.Contains("dropped and created again", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lock_timeout_and_cancellation_end_a_chunk()
    {
        await using var capture = await server.Capture(Items + "; INSERT INTO items VALUES (1, 1, 'one')");
        await capture.Start();
        await using var holder = new NpgsqlConnection(capture.Database + ";Pooling=false");
        await holder.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await holder.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var take = new NpgsqlCommand("LOCK TABLE items IN ACCESS EXCLUSIVE MODE", holder))
            await take.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using var soon = new CancellationTokenSource();
        var reading = capture.Chunks.Read(new ChunkRequest { Scope = ChunkExtensions.Scope("public.items") }, soon.Token);
        await capture.Until("EXISTS (SELECT FROM pg_locks WHERE NOT granted)");
        await soon.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        var refusal = await Assert.ThrowsAsync<CaptureException>(() => Read(capture));
        Assert.True(refusal.Transient);
        Assert.Contains("is locked by another session", refusal.Message, StringComparison.Ordinal);
        await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        Assert.Single((await Read(capture)).Rows);
    }

    private static Task<TableChunk> Read(CaptureUnderTest capture, Func<ChunkRequest, ChunkRequest>? with = null)
    {
        var request = new ChunkRequest { Scope = ChunkExtensions.Scope("public.items") };
        return capture.Chunks.Read(with?.Invoke(request) ?? request, TestContext.Current.CancellationToken);
    }

    private static ulong Xid(TableChunk chunk, RowChange change) => TransactionIds.Widen(change.Transaction.Xid, chunk.Snapshot.Snapshot.Xmax);

    private static async Task<int> Write(CaptureUnderTest capture, int writer, CancellationToken stop)
    {
        var dice = new Random(writer);
        var written = 0;
        await using var connection = new NpgsqlConnection(capture.Database + ";Pooling=false");
        await connection.OpenAsync(CancellationToken.None);
        while (!stop.IsCancellationRequested)
        {
            await using var command = new NpgsqlCommand("UPDATE items SET v = $1 WHERE id = $2", connection)
            {
                Parameters = { new() { Value = (++written * 10) + writer }, new() { Value = dice.Next(1, 51) } },
            };
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }

        return written;
    }
}
