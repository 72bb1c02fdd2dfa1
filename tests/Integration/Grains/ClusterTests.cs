using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>The whole pipeline on silos of one process: what crosses from silo to silo, and who answers for an entity.</summary>
public sealed class ClusterTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Table = "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL)";

    [Fact]
    public async Task Both_silos_work_on_one_source_and_any_answers_for_an_entity()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 2, Table);
        await cluster.Streaming();

        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 200) AS i");
        for (var n = 1; n <= 5; n++)
            await PostgresServer.Execute(cluster.Source, $"UPDATE item SET n = {n}");
        await cluster.Arrived(1200);

        // 16 partitions over two silos: both deliver, and an entity's events all leave through one of them.
        Assert.Equal(2, cluster.Delivered.Select(d => d.Silo).Distinct().Count());
        foreach (var entity in cluster.Delivered.GroupBy(d => d.Event.Entity))
        {
            Assert.Single(entity.Select(d => d.Silo).Distinct());
            Assert.Equal(6, entity.Count());
            Assert.Equal(entity.Select(d => d.Event.Version).Order(), entity.Select(d => d.Event.Version));
        }

        foreach (var id in (int[])[1, 57, 200])
        {
            var grain = cluster.Cluster.Client.GetGrain<IEntityGrain>($"shop/public.item/{id}");
            var view = await grain.GetState();
            Assert.Equal($$"""{"id":{{id}},"n":5}""", view?.Row);
        }
    }

    [Fact]
    public async Task A_planned_stop_confirms_what_was_delivered()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, Table);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item VALUES (1, 0)");
        await cluster.Arrived(1);
        await cluster.Cluster.StopAllSilosAsync();

        Assert.True(cluster.Delivered.TryPeek(out var delivered));
        var confirmed = await PostgresServer.Scalar(
            cluster.Source, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = current_database()");
        Assert.True(Lsn.Parse(confirmed!) > delivered.Event.Version.CommitLsn);
    }

    [Fact]
    public async Task A_row_larger_than_a_message_is_by_default_reaches_a_partition_on_another_silo()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, "CREATE TABLE item (id int PRIMARY KEY, a text, b text)",
            s => s with { Tables = [new TableSelection { Pattern = "public.*", Entities = EntityMode.Version }] });
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i FROM generate_series(1, 50) AS i");
        await cluster.Arrived(50);

        // One of each silo, so that one of them is not the reader's.
        var ids = cluster.Delivered.GroupBy(d => d.Silo).Select(g => g.First().Event.Entity.Key).ToArray();
        Assert.Equal(2, ids.Length);
        await PostgresServer.Execute(cluster.Source, $"UPDATE item SET a = repeat('a', 55000000), b = repeat('b', 55000000) WHERE id IN ({string.Join(',', ids)})");
        await cluster.Arrived(52);
        Assert.All(cluster.Delivered.Skip(50), d => Assert.InRange(d.Event.Value!.Length, 110_000_000, 120_000_000));
    }

    [Fact]
    public async Task When_a_silo_is_killed_the_other_carries_on_without_loss_or_disorder()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 2, Table);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 100) AS i");
        await cluster.Arrived(100);

        await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos[1]);
        for (var n = 1; n <= 3; n++)
            await PostgresServer.Execute(cluster.Source, $"UPDATE item SET n = {n}");
        await cluster.Arrived(400);

        AssertInOrder(cluster, 4);
    }

    [Fact]
    public async Task When_silos_join_while_changes_flow_no_partition_stays_away_from_its_entities()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, Table);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 100) AS i");
        await cluster.Arrived(100);

        var last = 0;
        for (var joined = 1; joined <= 3; joined++)
        {
            var joining = cluster.Cluster.StartAdditionalSiloAsync();
            while (!joining.IsCompleted)
                await Update();
            await joining;
            for (var after = 0; after < 3; after++)
                await Update();
            await cluster.Arrived(100 + (100 * last));
        }

        AssertInOrder(cluster, 1 + last);

        async Task Update() =>
            await PostgresServer.Execute(cluster.Source, $"UPDATE item SET n = {++last}");
    }

    // What was delivered and not yet durable may come again, with the same version.
    private static void AssertInOrder(InProcessCluster cluster, int versions)
    {
        foreach (var entity in cluster.Delivered.GroupBy(d => d.Event.Entity))
        {
            var once = entity.Select(d => d.Event.Version).Distinct().ToArray();
            Assert.Equal(versions, once.Length);
            Assert.Equal(once.Order(), once);
        }
    }
}
