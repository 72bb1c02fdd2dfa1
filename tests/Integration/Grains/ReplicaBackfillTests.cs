using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>The first backfill of a source from a standby that lags, while the primary is written.</summary>
public sealed class ReplicaBackfillTests(ControlServer control, ReplicaServers servers) : IClassFixture<ReplicaServers>
{
    [Fact]
    public async Task What_is_delivered_in_the_end_is_the_table()
    {
        var standby = servers.Standby.Connection();
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_pause()");
        await using var cluster = await Start(
            "INSERT INTO doc SELECT i, 0, repeat('x', 3000) FROM generate_series(1, 3000) AS i", new BackfillOptions { Mode = BackfillMode.Initial, Rate = 2000 });
        using var stop = new CancellationTokenSource();
        var load = Task.WhenAll(BackfillTests.Load(cluster.Source, 1, stop.Token), BackfillTests.Load(cluster.Source, 2, stop.Token));
        await cluster.Streaming();
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_resume()");
        await InProcessCluster.Until(async () => await cluster.Control.Backfills.Get(1, default) is { Tables: [{ Sent: > 0 }] }, "some rows");

        // A while later, the standby falls back. Nothing is lost by that, and the stream goes on.
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_pause()");
        var before = cluster.Delivered.Count(d => d.Event.Origin == EventOrigin.Stream);
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Count(d => d.Event.Origin == EventOrigin.Stream) > before + 300), "changes");
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_resume()");
        await BackfillTests.Done(cluster, 1);
        await stop.CancelAsync();
        await load;
        await BackfillTests.CaughtUp(cluster);
        await BackfillTests.SameAsTable(cluster);
        Assert.Equal(BackfillKind.Initial, (await cluster.Control.Backfills.Get(1, default))!.Kind);
        Assert.True(cluster.Delivered.Count(d => d.Event.Origin == EventOrigin.Backfill) > 300, "Most rows must come from the replica.");
    }

    [Fact]
    public async Task It_waits_and_says_for_what_until_it_is_cancelled()
    {
        var standby = servers.Standby.Connection();
        await using var cluster = await Start("INSERT INTO doc VALUES (1, 0, 'x')");
        await cluster.Streaming();
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(standby, $"SELECT count(*) FROM pg_database WHERE datname = '{new Npgsql.NpgsqlConnectionStringBuilder(cluster.Source).Database}'") == "1",
            "the standby to have the database");
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_pause()");
        try
        {
            // Without this, the standby has everything.
            await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (2, 0, 'y')");
            var id = await BackfillTests.Add(cluster, BackfillKind.Rows);
            await InProcessCluster.Until(
                async () => (await BackfillTests.Get(cluster, id)).Waiting?.Contains("waits until replica reporting (127.0.0.1:", StringComparison.Ordinal) == true, "it to say what it waits for");
            Assert.True(await cluster.Control.Backfills.Change(id, [BackfillState.Running], BackfillState.Cancelled, default));
            var next = await BackfillTests.Add(cluster, BackfillKind.Rows);
            await PostgresServer.Execute(standby, "SELECT pg_wal_replay_resume()");
            await BackfillTests.Done(cluster, next);
        }
        finally
        {
            await PostgresServer.Execute(standby, "SELECT pg_wal_replay_resume()");
        }

        await BackfillTests.SameAsTable(cluster);
    }

    [Fact]
    public async Task Rows_from_before_a_rewrite_are_not_stored_after_it()
    {
        var standby = servers.Standby.Connection();
        await using var cluster = await Start("INSERT INTO doc SELECT i, 0, 'x' FROM generate_series(1, 2000) AS i");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET t = 'y' WHERE id = 2000");
        await cluster.Arrived(1);
        var id = await BackfillTests.Add(cluster, BackfillKind.Rows, rate: 500);
        await InProcessCluster.Until(async () => (await BackfillTests.Get(cluster, id)).Tables[0].RowsDone > 0, "some rows");
        await PostgresServer.Execute(standby, "SELECT pg_wal_replay_pause()");
        try
        {
            await PostgresServer.Execute(cluster.Source, "ALTER TABLE doc ALTER n TYPE bigint USING n + 1000; UPDATE doc SET t = 'z' WHERE id = 2000");

            // The standby still has the rows as they were. Either they are refused, or they are all merged.
            await InProcessCluster.Until(
                async () =>
                {
                    var now = await BackfillTests.Get(cluster, id);
                    return now.State == BackfillState.Done || now.Waiting?.Contains("replica", StringComparison.Ordinal) == true;
                },
                "it to wait");
        }
        finally
        {
            await PostgresServer.Execute(standby, "SELECT pg_wal_replay_resume()");
        }

        await BackfillTests.Done(cluster, id);
        await BackfillTests.CaughtUp(cluster);
        var verified = (await BackfillTests.Done(cluster, await BackfillTests.Add(cluster, BackfillKind.Verify))).Tables[0];
        Assert.Equal((0, 0), (verified.Updated, verified.Deleted));

        // The source's watch may notice the rewrite after the rows were read again, and then they are forgotten once more.
        Assert.Equal(2000, verified.Unchanged + verified.Created);
    }

    private Task<InProcessCluster> Start(string rows, BackfillOptions? backfill = null) => InProcessCluster.Start(
        control, servers.Primary, 1, $"{BackfillTests.Schema}; {rows}",
        s => s with
        {
            Replicas = new Dictionary<string, string> { ["reporting"] = s.Connection.Replace($"Port={servers.Primary.Port}", $"Port={servers.Standby.Port}", StringComparison.Ordinal) },
            BackfillReplica = "reporting",
            Backfill = backfill ?? BackfillOptions.Never,
        });
}
