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

    private async Task<InProcessCluster> Start()
    {
        var cluster = await InProcessCluster.Start(control, sources.Server, 2, Doc);
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
