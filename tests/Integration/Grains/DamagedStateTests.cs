using System.Text.Json.Nodes;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Damaged states in the control database stop neither their entities nor others.</summary>
public sealed class DamagedStateTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task All_events_arrive_and_everything_becomes_durable()
    {
        // The rows exist before the capture begins, so nothing is in memory of them.
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1,
            """
            CREATE TABLE doc (id int PRIMARY KEY, n int NOT NULL, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
            INSERT INTO doc SELECT i, 0, repeat('x', 5000) FROM generate_series(1, 40) AS i
            """);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 1 WHERE id = 1");
        await InProcessCluster.Until(async () => await cluster.Control.Scalar("SELECT count(*) FROM cdc.entity_states") == "1", "the first state");
        await PostgresServer.Execute(cluster.Control.Connection, """
            INSERT INTO cdc.entity_states SELECT table_id, '2', 1, 1, schema_version, false, '\x00ff' FROM cdc.entity_states;
            INSERT INTO cdc.entity_states SELECT table_id, '3', 1, 1, 99, false, "row" FROM cdc.entity_states WHERE key = '1';
            """);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 2");
        await cluster.Arrived(41);

        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await InProcessCluster.Until(async () => (await reader.GetStatus()).WindowChanges == 0, "everything to be durable");
        foreach (var id in (string[])["2", "3", "4"])
        {
            var update = JsonNode.Parse(cluster.Delivered.Single(d => d.Event.Entity.Key == id).Event.Value!)!;
            Assert.Null(update["before"]);
            Assert.Equal(("__debezium_unavailable_value", 2), (update["after"]!["body"]!.GetValue<string>(), update["after"]!["n"]!.GetValue<int>()));
        }

        await InProcessCluster.Until(async () => (await reader.GetStatus()).Silos.Values.Sum(s => s.RowsUnreadable) == 2, "the status to count them");
    }
}
