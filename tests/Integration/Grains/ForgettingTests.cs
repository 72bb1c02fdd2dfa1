using System.Text;
using System.Text.Json.Nodes;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>A stored row is used only as long as it certainly belongs to the row: a wrong value is worse than none.</summary>
public sealed class ForgettingTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Doc = "CREATE TABLE doc (id int PRIMARY KEY, code int NOT NULL, n int NOT NULL, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;";
    private const string Unavailable = "__debezium_unavailable_value";

    [Fact]
    public async Task A_row_that_has_another_rows_key_now_does_not_get_its_values()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 2, 0, repeat('x', 5000)), (2, 1, 0, repeat('y', 5000))");
        await cluster.Arrived(2);
        await PostgresServer.Execute(cluster.Source, "ALTER TABLE doc DROP CONSTRAINT doc_pkey, ADD PRIMARY KEY (code)");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1 WHERE code = 1");
        await cluster.Arrived(3);

        var update = Value(cluster);
        Assert.Null(update["before"]);
        Assert.Equal(2, update["after"]!["id"]!.GetValue<int>());
        Assert.Equal(Unavailable, update["after"]!["body"]!.GetValue<string>());
        Assert.Null(await State(cluster, "2"));
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET body = repeat('z', 5000) WHERE code = 1; UPDATE doc SET n = 2 WHERE code = 1");
        await cluster.Arrived(5);
        Assert.Equal(new string('z', 5000), Value(cluster)["after"]!["body"]!.GetValue<string>());
    }

    [Fact]
    public async Task A_table_that_was_not_followed_for_a_while_is_not_told_as_it_was()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000)), (2, 2, 0, NULL)");
        await cluster.Arrived(2);
        await PostgresServer.Execute(cluster.Source, "BEGIN; ALTER PUBLICATION cdc DROP TABLE doc; UPDATE doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc WHERE id = 2; COMMIT");
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(cluster.Source, "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'doc'") == "1", "the table to join again");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await cluster.Arrived(3);

        var update = Value(cluster);
        Assert.Null(update["before"]);
        Assert.Equal(Unavailable, update["after"]!["body"]!.GetValue<string>());
        Assert.Null(await State(cluster, "2"));
    }

    [Fact]
    public async Task A_table_that_had_another_name_for_a_while_is_not_told_as_it_was()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000))");
        await cluster.Arrived(1);
        await PostgresServer.Execute(cluster.Source, "ALTER TABLE doc RENAME TO paper; UPDATE paper SET body = repeat('y', 5000)");
        await cluster.Arrived(2);
        Assert.Null(await State(cluster, "1"));
        await PostgresServer.Execute(cluster.Source, "ALTER TABLE paper RENAME TO doc; UPDATE doc SET n = 1");
        await cluster.Arrived(3);
        Assert.Null(Value(cluster)["before"]);
        Assert.Equal(Unavailable, Value(cluster)["after"]!["body"]!.GetValue<string>());
    }

    /// <summary>Statements that change rows without an event: in the end, row 1 has the body y, and row 2 is gone or changed.</summary>
    public static TheoryData<string, string> Silent => new()
    {
        { "a rewrite to the same type", "ALTER TABLE doc ALTER body TYPE text USING repeat('y', 5000)" },
        { "two rewrites in a transaction", "BEGIN; ALTER TABLE doc ALTER body TYPE text USING repeat('p', 5000); UPDATE doc SET n = 1; ALTER TABLE doc ALTER body TYPE text USING repeat('y', 5000); COMMIT" },
        { "a truncation and a rewrite in a transaction", "BEGIN; TRUNCATE doc; INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000)); ALTER TABLE doc ALTER body TYPE text USING repeat('y', 5000); COMMIT" },
        { "a rewrite of keys", "ALTER TABLE doc ALTER id TYPE int USING 3 - id; UPDATE doc SET body = repeat('y', 5000) WHERE id = 1" },
        { "logging switched off and on", "BEGIN; ALTER PUBLICATION cdc DROP TABLE doc; ALTER TABLE doc SET UNLOGGED; UPDATE doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc WHERE id = 2; ALTER TABLE doc SET LOGGED; ALTER PUBLICATION cdc ADD TABLE doc; COMMIT" },
        { "out of the publication and back", "BEGIN; ALTER PUBLICATION cdc DROP TABLE doc; UPDATE doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc WHERE id = 2; ALTER PUBLICATION cdc ADD TABLE doc; COMMIT" },
        { "inserts only", "BEGIN; ALTER PUBLICATION cdc SET (publish = 'insert'); UPDATE doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc WHERE id = 2; ALTER PUBLICATION cdc SET (publish = 'insert, update, delete, truncate'); COMMIT" },
        { "a row filter", "BEGIN; ALTER PUBLICATION cdc SET TABLE doc WHERE (id > 100); UPDATE doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc WHERE id = 2; ALTER PUBLICATION cdc SET TABLE doc; COMMIT" },
        { "another schema", "CREATE SCHEMA elsewhere; ALTER TABLE doc SET SCHEMA elsewhere; UPDATE elsewhere.doc SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM elsewhere.doc WHERE id = 2; ALTER TABLE elsewhere.doc SET SCHEMA public" },
    };

    [Theory]
    [MemberData(nameof(Silent))]
    public async Task Rows_that_change_without_an_event_are_not_told_as_they_were(string what, string statements)
    {
        Assert.NotEmpty(what);
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000)), (2, 2, 0, repeat('x', 5000))");
        await cluster.Arrived(2);
        await PostgresServer.Execute(cluster.Source, statements);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 7 WHERE id = 1");
        await InProcessCluster.Until(() => Task.FromResult(Value(cluster)["after"]?["n"]?.GetValue<int>() == 7), "the update");

        var update = Value(cluster);
        Assert.Contains(update["after"]!["body"]!.GetValue<string>(), (string[])[new string('y', 5000), Unavailable]);
        Assert.True(update["before"]?["body"]?.GetValue<string>() is null or Unavailable || update["before"]!["body"]!.GetValue<string>() == new string('y', 5000));
        Assert.DoesNotContain("xxx", (await State(cluster, "1"))?.Row ?? "", StringComparison.Ordinal);
        Assert.DoesNotContain("xxx", (await State(cluster, "2"))?.Row ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_that_come_and_go_with_a_partition_are_not_told_as_they_were()
    {
        await using var cluster = await Start(
            """
            CREATE TABLE doc (id int PRIMARY KEY, n int NOT NULL, body text) PARTITION BY RANGE (id);
            CREATE TABLE doc_1 PARTITION OF doc FOR VALUES FROM (0) TO (100);
            CREATE TABLE doc_2 PARTITION OF doc FOR VALUES FROM (100) TO (200);
            ALTER TABLE doc_1 ALTER body SET STORAGE EXTERNAL; ALTER TABLE doc_2 ALTER body SET STORAGE EXTERNAL;
            """);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 0, repeat('x', 5000)), (2, 0, repeat('x', 5000)), (101, 0, repeat('x', 5000))");
        await cluster.Arrived(3);
        await PostgresServer.Execute(
            cluster.Source,
            """
            ALTER TABLE doc DETACH PARTITION doc_1;
            UPDATE doc_1 SET body = repeat('y', 5000) WHERE id = 1; DELETE FROM doc_1 WHERE id = 2;
            ALTER TABLE doc ATTACH PARTITION doc_1 FOR VALUES FROM (0) TO (100);
            TRUNCATE doc_2;
            """);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 7 WHERE id = 1");
        await InProcessCluster.Until(() => Task.FromResult(Value(cluster)["after"]?["n"]?.GetValue<int>() == 7), "the update");
        Assert.Null(Value(cluster)["before"]);
        Assert.Equal(Unavailable, Value(cluster)["after"]!["body"]!.GetValue<string>());
        Assert.Null(await State(cluster, "2"));
        Assert.Null(await State(cluster, "101"));
    }

    [Fact]
    public async Task Rewrites_that_the_reader_sees_late_leave_no_value_from_before_them()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('a', 5000))");
        await PostgresServer.Execute(
            cluster.Source,
            """
            DO $do$ BEGIN
                FOR i IN 1..20 LOOP
                    EXECUTE format('ALTER TABLE doc ALTER body TYPE text USING repeat(%L, 5000)', chr(97 + i)); COMMIT;
                    UPDATE doc SET n = i; COMMIT;
                    UPDATE doc SET code = i; COMMIT;
                    GRANT SELECT ON doc TO PUBLIC; COMMIT;
                    UPDATE doc SET n = i; COMMIT;
                END LOOP;
            END $do$
            """);
        await cluster.Arrived(61);
        foreach (var delivered in cluster.Delivered)
        {
            // The updates of round i give n the value i, after the rewrite has given the body the letter of i.
            var value = JsonNode.Parse(Encoding.UTF8.GetString(delivered.Event.Value!))!;
            var right = new string((char)('a' + value["after"]!["n"]!.GetValue<int>()), 5000);
            foreach (var row in (JsonNode?[])[value["before"], value["after"]])
            {
                if (row?["body"]?.GetValue<string>() is { } body && body != Unavailable)
                    Assert.Equal(right, body);
            }
        }
    }

    [Fact]
    public async Task Announcements_without_a_reason_forget_nothing()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000))");
        for (var i = 1; i <= 50; i++)
        {
            await PostgresServer.Execute(
                cluster.Source,
                $"ALTER TABLE doc DISABLE TRIGGER ALL; GRANT SELECT ON doc TO PUBLIC; ALTER TABLE doc ENABLE TRIGGER ALL; ANALYZE doc; COMMENT ON TABLE doc IS '{i}'; UPDATE doc SET n = {i}");
        }

        await cluster.Arrived(51);
        foreach (var (delivered, n) in cluster.Delivered.DistinctBy(d => d.Event.Id).Skip(1).Select((d, i) => (d, i)))
        {
            var value = JsonNode.Parse(Encoding.UTF8.GetString(delivered.Event.Value!))!;
            Assert.Equal(n, value["before"]!["n"]!.GetValue<int>());
            Assert.Equal(new string('x', 5000), value["after"]!["body"]!.GetValue<string>());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_slot_that_is_gone_or_another_one_is_never_read_past_unasked(bool isCreatedAgain)
    {
        await using var cluster = await Start();
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 1, 0, repeat('x', 5000))");
        await cluster.Arrived(1);
        var slot = await PostgresServer.Scalar(cluster.Source, "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()");
        await InProcessCluster.Until(() => Dropped(cluster.Source, slot!), "the slot to be dropped");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET body = repeat('y', 5000)");
        if (isCreatedAgain)
            await PostgresServer.Execute(cluster.Source, $"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        var reason = isCreatedAgain ? "the slot was created again" : "is gone";
        await InProcessCluster.Until(
            async () => await reader.GetStatus() is { State: SourceState.Failed, Detail: { } detail } && detail.Contains(reason, StringComparison.Ordinal)
                && detail.Contains("cdc.accept_gap('shop')", StringComparison.Ordinal),
            "the gap to be reported");
        Assert.Single(cluster.Delivered);

        await PostgresServer.Scalar(cluster.Control.Connection, "SELECT cdc.accept_gap('shop')");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1");
        await cluster.Arrived(2);
        Assert.Null(Value(cluster)["before"]);
        Assert.Equal(Unavailable, Value(cluster)["after"]!["body"]!.GetValue<string>());
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2");
        await cluster.Arrived(3);
        Assert.Equal(1, Value(cluster)["before"]!["n"]!.GetValue<int>());
    }

    private async Task<InProcessCluster> Start(string schema = Doc)
    {
        var cluster = await InProcessCluster.Start(control, sources.Server, 2, schema);
        await cluster.Streaming();
        return cluster;
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

    private static JsonNode Value(InProcessCluster cluster) => JsonNode.Parse(Encoding.UTF8.GetString(cluster.Delivered.Last().Event.Value!))!;

    private static Task<EntityView?> State(InProcessCluster cluster, string key) =>
        cluster.Cluster.Client.GetGrain<IEntityGrain>($"shop/public.doc/{key}").GetState().AsTask();
}
