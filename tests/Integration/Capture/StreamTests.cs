using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

public sealed class StreamTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task Rows_of_common_types_come_as_the_server_writes_them()
    {
        await using var capture = await server.Capture("""
            CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
            CREATE TABLE things (
                id bigint PRIMARY KEY, small smallint NOT NULL, whole integer, words text, name varchar(20), sum price, ratio double precision,
                flag boolean, at timestamp, zoned timestamptz, day date, ref uuid, doc json, docb jsonb, raw bytea, tags text[], gap interval);
            """);
        await capture.Start();
        await capture.Execute("""
            SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET bytea_output = 'escape';
            INSERT INTO things VALUES (9007199254740993, -5, 42, 'Grüße, 世界', 'n', 12.5, 0.1, true, '2024-02-29 12:34:56.789', '2024-02-29 12:34:56+09',
                '2024-02-29', '6f9619ff-8b86-d011-b42d-00c04fc964ff', '{"a": 1}', '{"b":  2}', '\x00ff', '{x,"y z"}', '1 day 02:00:00');
            INSERT INTO things (id, small) VALUES (1, 1);
            UPDATE things SET words = 'w' WHERE id = 1;
            DELETE FROM things WHERE id = 1;
            """);

        var (changes, commit) = await capture.NextTransaction();

        Assert.Equal(
            [ChangeOperation.Create, ChangeOperation.Create, ChangeOperation.Update, ChangeOperation.Delete], changes.Select(c => c.Operation));
        Assert.Equal(
            [
                "9007199254740993", "-5", "42", "Grüße, 世界", "n", "12.50", "0.1", "t", "2024-02-29 12:34:56.789", "2024-02-29 03:34:56+00",
                "2024-02-29", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "{\"a\": 1}", "{\"b\": 2}", "\\x00ff", "{x,\"y z\"}", "1 day 02:00:00",
            ],
            Values(changes[0].After));
        var nulls = Enumerable.Repeat((string?)null, 14);
        Assert.Equal(["1", "1", null, .. nulls], Values(changes[1].After));
        Assert.Equal(["1", "1", null, "w", .. nulls.Skip(1)], Values(changes[2].After));
        Assert.Equal(["1", null, null, .. nulls], Values(changes[3].Before));
        Assert.True(changes[3].BeforeIsKeyOnly);
        Assert.Equal("public.things/9007199254740993", changes[0].Entity.ToString());
        Assert.Equal([1L, 2L, 3L, 5L], changes.Select(c => c.Version.Ordinal));
        Assert.True(changes.Zip(changes.Skip(1)).All(pair => pair.First.Lsn < pair.Second.Lsn));
        Assert.True(changes[^1].Lsn < commit.Transaction!.CommitLsn && commit.Transaction.CommitLsn < commit.EndLsn);
        Assert.InRange(
            DateTimeOffset.FromUnixTimeMilliseconds(commit.Transaction.CommitMicros / 1000), DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);

        var table = changes[0].Table;
        Assert.Equal("public.things", table.FullName);
        Assert.Equal([0], table.Key);
        Assert.Equal(["bigint", "smallint", "integer", "text", "character varying(20)", "numeric(10,2)"], table.Columns.Take(6).Select(c => c.TypeName));
        Assert.Equal(1700u, table.Columns[5].TypeOid);
        Assert.Equal([false, false, true], table.Columns.Take(3).Select(c => c.Nullable));
        Assert.Equal(1, capture.Schemas.Registrations);
    }

    [Fact]
    public async Task A_large_value_that_an_update_does_not_touch_is_left_out()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE docs (id int PRIMARY KEY, body text, n int);
            ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
            CREATE TABLE whole (id int PRIMARY KEY, body text, n int);
            ALTER TABLE whole ALTER body SET STORAGE EXTERNAL;
            ALTER TABLE whole REPLICA IDENTITY FULL;
            """);
        await capture.Start();
        // Larger than every buffer.
        await capture.Execute("INSERT INTO docs VALUES (1, repeat('x', 1000000), 1); INSERT INTO whole VALUES (1, repeat('y', 300000), 1)");
        await capture.Execute("UPDATE docs SET n = 2; UPDATE whole SET n = 2");

        var (inserts, _) = await capture.NextTransaction();
        Assert.Equal(["1", new string('x', 1_000_000), "1"], Values(inserts[0].After));
        var (updates, _) = await capture.NextTransaction();
        Assert.Equal(["1", "(unchanged)", "2"], Values(updates[0].After));
        Assert.False(updates[0].Before.IsPresent);
        Assert.Equal(["1", new string('y', 300_000), "1"], Values(updates[1].Before));
        Assert.Equal(["1", new string('y', 300_000), "2"], Values(updates[1].After));
        Assert.False(updates[1].BeforeIsKeyOnly);
    }

    [Fact]
    public async Task Keys_follow_their_declared_order_or_the_identity_index()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE pairs (a text, b int, c text, PRIMARY KEY (c, a));
            CREATE TABLE indexed (x int, code text NOT NULL, region text NOT NULL);
            CREATE UNIQUE INDEX by_code ON indexed (region, code);
            ALTER TABLE indexed REPLICA IDENTITY USING INDEX by_code;
            """);
        await capture.Start();
        await capture.Execute("""
            INSERT INTO pairs VALUES ('a,1', 2, 'c\');
            INSERT INTO indexed VALUES (1, 'co', 're');
            """);

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(@"c\\,a\,1", changes[0].Entity.Key);
        Assert.Equal([2, 0], changes[0].Table.Key);
        Assert.Equal("co,re", changes[1].Entity.Key);
    }

    [Fact]
    public async Task A_changed_key_deletes_the_old_entity_and_creates_the_new()
    {
        await using var capture = await server.Capture("CREATE TABLE items (id int PRIMARY KEY, name text)");
        await capture.Start();
        await capture.Execute("INSERT INTO items VALUES (1, 'one'); UPDATE items SET id = 2; UPDATE items SET name = 'two'");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(
            [(ChangeOperation.Create, "1", 1L), (ChangeOperation.Delete, "1", 2L), (ChangeOperation.Create, "2", 3L), (ChangeOperation.Update, "2", 4L)],
            changes.Select(c => (c.Operation, c.Entity.Key, c.Version.Ordinal)));
        Assert.Equal(changes[1].Lsn, changes[2].Lsn);
        Assert.Equal(["2", "one"], Values(changes[2].After));
    }

    [Fact]
    public async Task A_column_added_while_streaming_makes_a_new_schema_version()
    {
        await using var capture = await server.Capture("CREATE TABLE grows (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Execute("INSERT INTO grows VALUES (1)");
        var (before, _) = await capture.NextTransaction();
        // The row written in the same transaction before the column is there has the older schema, although the catalog is newer.
        await capture.Execute("BEGIN; INSERT INTO grows VALUES (2); ALTER TABLE grows ADD note text DEFAULT 'none'; INSERT INTO grows VALUES (3, 'three'); COMMIT");
        var (after, _) = await capture.NextTransaction();

        Assert.Equal([1, 1, 2], before.Concat(after).Select(c => c.Table.Version));
        Assert.Single(before.Concat(after).Select(c => c.Table.TableId).Distinct());
        Assert.Equal(["id", "note"], after[1].Table.Columns.Select(c => c.Name));
        Assert.Equal(["3", "three"], Values(after[1].After));
    }

    [Fact]
    public async Task Transactions_come_in_commit_order_and_rolled_back_ones_not_at_all()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Execute("BEGIN; INSERT INTO t VALUES (100); ROLLBACK");
        await using var first = new NpgsqlConnection(capture.Database);
        await using var second = new NpgsqlConnection(capture.Database);
        await first.OpenAsync();
        await second.OpenAsync();
        await Run(first, "BEGIN; INSERT INTO t VALUES (1)");
        await Run(second, "BEGIN; INSERT INTO t VALUES (2)");
        await Run(first, "INSERT INTO t VALUES (3)");
        await Run(second, "COMMIT");
        await Run(first, "COMMIT");

        var (early, earlyCommit) = await capture.NextTransaction();
        var (late, lateCommit) = await capture.NextTransaction();
        Assert.Equal(["2"], early.Select(c => c.Entity.Key));
        Assert.Equal(["1", "3"], late.Select(c => c.Entity.Key));
        Assert.True(early[0].Version < late[0].Version);
        Assert.Equal(earlyCommit.EndLsn, lateCommit.Transaction!.PreviousCommitEnd);

        static async Task Run(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    [Fact]
    public async Task The_slot_follows_what_is_confirmed_and_the_rest_comes_again()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        for (var i = 1; i <= 3; i++)
            await capture.Execute($"INSERT INTO t VALUES ({i})");
        var (_, first) = await capture.NextTransaction();
        await capture.NextTransaction();
        await capture.NextTransaction();
        capture.Stream.Confirm(first.EndLsn);
        await capture.Stream.SendFeedback(CancellationToken.None);
        await capture.Until($"SELECT confirmed_flush_lsn = '{first.EndLsn}' FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");
        Assert.Equal(first.EndLsn, (await capture.Capture.Positions(CancellationToken.None)).ConfirmedLsn);

        await capture.Restart();
        var (again, commit) = await capture.NextTransaction();
        Assert.Equal("2", again[0].Entity.Key);
        var (last, _) = await capture.NextTransaction();
        Assert.Equal("3", last[0].Entity.Key);
        Assert.True(commit.EndLsn > first.EndLsn);
    }

    [Fact]
    public async Task A_heartbeat_is_a_position_that_moves_the_slot_of_an_idle_database()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        var before = await capture.Capture.Positions(CancellationToken.None);
        await capture.Capture.Heartbeat(CancellationToken.None);

        var item = await capture.Next();
        while (item.Kind != WalItemKind.Position)
            item = await capture.Next();
        Assert.True(item.EndLsn >= before.ConfirmedLsn);
        capture.Stream.Confirm(item.EndLsn);
        await capture.Stream.SendFeedback(CancellationToken.None);
        await capture.Until($"SELECT confirmed_flush_lsn >= '{item.EndLsn}' FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");
    }

    [Fact]
    public async Task An_unconfirmed_change_pins_the_slot_and_an_idle_stream_does_not()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE noise (id int PRIMARY KEY)", "public.t");
        await capture.Start();
        await capture.Execute("INSERT INTO t VALUES (1)");
        var (_, commit) = await capture.NextTransaction();
        var reading = capture.Next();
        await capture.Execute("INSERT INTO noise SELECT generate_series(1, 1000)");
        var noise = await capture.Scalar("SELECT pg_current_wal_flush_lsn()::text");
        await capture.Until($"SELECT sent_lsn >= '{noise}' FROM pg_stat_replication WHERE application_name = 'cdc-{capture.Source.Name}'");
        await capture.Stream.SendFeedback(CancellationToken.None);
        Assert.True((await capture.Capture.Positions(CancellationToken.None)).ConfirmedLsn < commit.EndLsn);

        capture.Stream.Confirm(commit.EndLsn);
        await capture.Until($"SELECT confirmed_flush_lsn >= '{noise}' FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");
        Assert.False(reading.IsFaulted);
    }

    [Fact]
    public async Task Partitions_come_as_their_table_and_what_is_not_selected_stays_out()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE sales (id int, year int, PRIMARY KEY (year, id)) PARTITION BY RANGE (year);
            CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES FROM (2024) TO (2025);
            CREATE TABLE other (id int PRIMARY KEY);
            """, "public.sales*");
        var facts = await capture.Capture.Prepare(null, CancellationToken.None);
        Assert.Equal(["public.sales"], facts.Tables);
        await capture.Restart();
        await capture.Execute("INSERT INTO other VALUES (1); INSERT INTO sales VALUES (7, 2024)");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal("public.sales/2024,7", Assert.Single(changes).Entity.ToString());
    }

    [Fact]
    public async Task What_is_not_a_row_comes_in_its_place()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Execute("BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'note', 'hé'); TRUNCATE t, u; INSERT INTO t VALUES (2); COMMIT");
        await capture.Execute("SELECT pg_logical_emit_message(false, 'non-transactional', decode('00ff', 'hex'))");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(
            ["public.t/1 Create", "message/note Message", "public.t/ Truncate", "public.u/ Truncate", "public.t/2 Create"],
            changes.Select(c => $"{c.Entity} {c.Operation}"));
        Assert.Equal([1L, 2, 3, 4, 5], changes.Select(c => c.Version.Ordinal));
        Assert.Equal(["note", @"\x68c3a9"], CaptureUnderTest.Values(changes[1].After));

        var nonTransactional = (await capture.Next()).Change!;
        Assert.Equal(["non-transactional", @"\x00ff"], CaptureUnderTest.Values(nonTransactional.After));
        Assert.Equal(0u, nonTransactional.Transaction.Xid);
        var reached = await capture.Next();
        Assert.Equal((WalItemKind.Position, nonTransactional.Lsn), (reached.Kind, reached.EndLsn));
        Assert.Equal(nonTransactional.Lsn.Value - 1, nonTransactional.Version.CommitLsn.Value);
    }

    [Fact]
    public async Task Tables_without_a_key_come_as_far_as_the_log_carries_them()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE whole (n int, note text); ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE TABLE indexed (n int NOT NULL UNIQUE, note text); ALTER TABLE indexed REPLICA IDENTITY FULL;
            CREATE TABLE loose (n int UNIQUE, note text); ALTER TABLE loose REPLICA IDENTITY FULL;
            CREATE TABLE partly (n int NOT NULL, note text); CREATE UNIQUE INDEX ON partly (n) WHERE note = 'x'; ALTER TABLE partly REPLICA IDENTITY FULL;
            CREATE TABLE inserted (n int PRIMARY KEY); ALTER TABLE inserted REPLICA IDENTITY NOTHING;
            CREATE TABLE bare (n int);
            """);
        var publication = capture.Source.Publication.Replace("\"", "\"\"");
        await capture.Execute($"CREATE PUBLICATION \"{publication}\" FOR ALL TABLES");
        await capture.Start();
        await capture.Execute("""
            BEGIN;
            INSERT INTO whole VALUES (1, 'a'); UPDATE whole SET note = 'b'; DELETE FROM whole;
            INSERT INTO indexed VALUES (1, 'a'); UPDATE indexed SET n = 2;
            INSERT INTO loose VALUES (NULL, 'a'); INSERT INTO partly VALUES (1, 'x');
            INSERT INTO inserted VALUES (1); INSERT INTO bare VALUES (1);
            COMMIT
            """);

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(
            [
                "public.whole/ Create", "public.whole/ Update", "public.whole/ Delete", "public.indexed/1 Create", "public.indexed/1 Delete", "public.indexed/2 Create",
                "public.loose/ Create", "public.partly/ Create", "public.inserted/1 Create", "public.bare/ Create",
            ],
            changes.Select(c => $"{c.Entity} {c.Operation}"));
        Assert.Equal(["1", "a"], CaptureUnderTest.Values(changes[1].Before));
        Assert.False(changes[1].BeforeIsKeyOnly);
        Assert.Equal(["public.inserted", "public.bare"], changes.Where(c => c.Table.InsertsOnly).Select(c => c.Table.FullName));
        Assert.Equal(2, capture.Log.Lines.Count(l => l.Contains("nothing identifies rows of table")));
    }

    [Fact]
    public async Task The_index_that_identifies_rows_is_the_key_even_beside_a_primary_key()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, n int); CREATE UNIQUE INDEX t_code ON t (code); ALTER TABLE t REPLICA IDENTITY USING INDEX t_code;
            """);
        await capture.Start();
        await capture.Execute("BEGIN; INSERT INTO t VALUES (1, 'a', 1); UPDATE t SET id = 2; UPDATE t SET code = 'b'; DELETE FROM t; COMMIT");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(
            ["public.t/a Create", "public.t/a Update", "public.t/a Delete", "public.t/b Create", "public.t/b Delete"],
            changes.Select(c => $"{c.Entity} {c.Operation}"));
    }

    [Fact]
    public async Task Changes_of_a_table_that_was_dropped_since_keep_its_last_shape()
    {
        await using var capture = await server.Capture("""
            CREATE TYPE mood AS ENUM ('low', 'high');
            CREATE TABLE t (id int, part mood, PRIMARY KEY (part, id)); ALTER TABLE t REPLICA IDENTITY FULL;
            CREATE TABLE u (id int PRIMARY KEY);
            """);
        await capture.Start();
        await capture.Execute("INSERT INTO t VALUES (1, 'low')");
        var (first, _) = await capture.NextTransaction();
        await capture.Stream.DisposeAsync();
        await capture.Execute("INSERT INTO t VALUES (2, 'high'); INSERT INTO u VALUES (1)");
        await capture.Execute("DROP TABLE t; DROP TYPE mood; INSERT INTO u VALUES (2)");
        await capture.Restart();

        var changes = new List<RowChange>();
        while (changes.Count == 0 || changes[^1].Entity.ToString() != "public.u/2")
            changes.AddRange((await capture.NextTransaction()).Changes);
        Assert.Contains(changes, c => c.Entity.ToString() == "public.u/1");
        Assert.Same(first[0].Table, changes.First(c => c.Entity.ToString() == "public.t/high,2").Table);
    }

    [Fact]
    public async Task A_key_lost_while_streaming_leaves_inserts_and_says_so()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY, n int)");
        await capture.Start();
        await capture.Execute("ALTER TABLE t DROP CONSTRAINT t_pkey");
        await capture.Execute("INSERT INTO t VALUES (1)");

        var change = Assert.Single((await capture.NextTransaction()).Changes);
        Assert.Equal("public.t/", change.Entity.ToString());
        Assert.True(change.Table.InsertsOnly);
        Assert.Contains("REPLICA IDENTITY FULL", Assert.Single(capture.Log.Lines, l => l.Contains("nothing identifies rows of table public.t")));
    }

    [Fact]
    public async Task A_stale_reader_is_ended_and_only_ours()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        var inUse = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Stream(null, CancellationToken.None));
        Assert.True(inUse.Transient);
        Assert.Contains("in use", inUse.Message);
        Assert.Empty(await capture.Capture.Check(CancellationToken.None));

        var reading = capture.Next();
        Assert.True(await capture.Capture.EndStaleReader(CancellationToken.None));
        Assert.True((await Assert.ThrowsAsync<CaptureException>(() => reading)).Transient);
        Assert.False(await capture.Capture.EndStaleReader(CancellationToken.None));

        await capture.Restart();
        await capture.Execute("INSERT INTO t VALUES (1)");
        Assert.Single((await capture.NextTransaction()).Changes);
    }

    [Fact]
    public async Task Cancelling_a_read_ends_the_stream_and_frees_the_slot()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        using var stop = new CancellationTokenSource();
        var reading = capture.Stream.Read(stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await capture.Stream.DisposeAsync();
        await capture.Until($"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");
    }

    [Fact]
    public async Task A_dropped_slot_is_named_with_its_remedy()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Capture.Prepare(null, CancellationToken.None);
        await capture.Execute($"SELECT pg_drop_replication_slot('{capture.Source.Slot}')");
        var failure = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Stream(null, CancellationToken.None));
        Assert.False(failure.Transient);
        Assert.Contains($"slot {capture.Source.Slot} does not exist", failure.Message);
        Assert.Contains("cdc.accept_gap('", failure.Message);
    }
}
