using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Entities as Orleans sees them: who has an activation, and what happens when two have one.</summary>
public sealed class ActivationTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Table = "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE quiet (id int PRIMARY KEY, n int NOT NULL)";

    [Fact]
    public async Task What_the_status_calls_awake_is_what_Orleans_counts_as_activations()
    {
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, Table,
            s => s with { Tables = [new TableSelection { Pattern = "public.item" }, new TableSelection { Pattern = "public.quiet" }] });
        await cluster.Streaming();

        // Two changes each in one transaction wake; questions wake.
        await PostgresServer.Execute(cluster.Source, "BEGIN; INSERT INTO item SELECT i, 0 FROM generate_series(1, 50) AS i; UPDATE item SET n = 1; COMMIT");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO quiet SELECT i, 0 FROM generate_series(1, 50) AS i");
        await cluster.Arrived(150);
        for (var id = 1; id <= 5; id++)
            Assert.NotNull(await cluster.Cluster.Client.GetGrain<IEntityGrain>($"shop/public.quiet/{id}").GetState());

        var awake = TestActivation.Value == EntityActivation.Always ? 100 : 55;
        await InProcessCluster.Until(async () => await Awake(cluster) == awake && await Activations(cluster) == awake, $"{awake} entities to be awake");
        var figures = (await Status(cluster)).Silos.Values;
        Assert.Equal(awake, figures.Sum(f => f.EntitiesWoken - f.EntitiesPutToSleep));
        if (TestActivation.Value == EntityActivation.WhenNeeded)
            Assert.Equal(50, figures.Sum(f => f.AppliedInPassing));

        // A truncation puts those of its table to sleep, and those of which no change has come: they may be of that table.
        await PostgresServer.Execute(cluster.Source, "TRUNCATE item");
        var left = TestActivation.Value == EntityActivation.Always ? 50 : 0;
        await InProcessCluster.Until(async () => await Awake(cluster) == left && await Activations(cluster) == left, $"{left} entities to stay awake");
    }

    [Fact]
    public async Task An_activation_that_ends_at_any_time_comes_back_and_loses_nothing()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, Table);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 20) AS i");
        for (var n = 1; n <= 20; n++)
        {
            await PostgresServer.Execute(cluster.Source, $"BEGIN; UPDATE item SET n = {n}; UPDATE item SET n = n + 100; COMMIT");

            // Asked for by a partition that is not its own, an activation ends, whatever it is doing.
            foreach (var id in Enumerable.Range(1, 20))
                await cluster.Cluster.Client.GetGrain<IEntityGrain>($"shop/public.item/{id}").Wake(-1);
        }

        await cluster.Arrived(20 + (20 * 40));
        foreach (var entity in cluster.Delivered.GroupBy(d => d.Event.Entity))
        {
            Assert.Equal(41, entity.Count());
            Assert.Equal(entity.Select(d => d.Event.Version).Order(), entity.Select(d => d.Event.Version));
        }
    }

    /// <summary>
    /// Two sides of a cluster that each think they are the whole: both have an activation of one entity, and one of them has a delivery
    /// in progress when the other takes over. The control database lets the later owner through and nobody else.
    /// </summary>
    [Fact]
    public async Task Of_two_activations_of_one_entity_the_store_lets_one_through()
    {
        await using var first = await InProcessCluster.Start(control, sources.Server, 1, Table);
        await first.Streaming();
        await PostgresServer.Execute(first.Source, "BEGIN; INSERT INTO item VALUES (1, 0); UPDATE item SET n = 1; COMMIT");
        await first.Arrived(2);
        Assert.Equal("""{"id":1,"n":1}""", (await Entity(first).GetState())!.Row);

        // The first one's delivery of the next change stays open.
        first.Holds = e => e.Entity.Key == "1";
        await PostgresServer.Execute(first.Source, "UPDATE item SET n = 2");
        await InProcessCluster.Until(() => Task.FromResult(first.Held > 0), "the delivery");
        Assert.Equal(1, (await Entity(first).GetState())!.Waiting);

        await using var second = await first.StartBeside();
        await second.Streaming();
        await InProcessCluster.Until(
            () => Task.FromResult(second.Delivered.Any(d => d.Event.Entity.Key == "1" && d.Event.Version == first.Delivered.Last(e => e.Event.Entity.Key == "1").Event.Version)),
            "the second to deliver the same change");
        await PostgresServer.Execute(first.Source, "UPDATE item SET n = 3");
        await InProcessCluster.Until(async () => (await Entity(second).GetState())?.Row == """{"id":1,"n":3}""", "the second to go on");

        // Both are awake: the first with what it had, and a delivery that nobody has answered for.
        Assert.Equal("""{"id":1,"n":1}""", (await Entity(first).GetState())!.Row);
        Assert.Equal((1, 1), (await Activations(first), await Activations(second)));

        // Its outcome comes too late: it never gets into the store, and the activation ends.
        first.Release();
        await InProcessCluster.Until(async () => await Activations(first) == 0, "the first one's entity to end");
        var version = (await Entity(second).GetState())!.Version;
        await InProcessCluster.Until(async () => (await Stored(second))?.Version == version, "the second one's state to be durable");
        await PostgresServer.Execute(first.Source, "UPDATE item SET n = 4");
        await InProcessCluster.Until(async () => (await Entity(second).GetState())?.Row == """{"id":1,"n":4}""", "the next change");
        Assert.DoesNotContain(first.Delivered, d => d.Event.Version > version);
    }

    private static IEntityGrain Entity(InProcessCluster cluster) => cluster.Cluster.Client.GetGrain<IEntityGrain>("shop/public.item/1");

    private static async Task<EntityState?> Stored(InProcessCluster cluster)
    {
        var table = await cluster.Control.Schemas.FindTable("shop", "public.item", TestContext.Current.CancellationToken);
        return (await cluster.Control.Checkpoints.ReadStates([new StateKey(table!.Value, "1")], TestContext.Current.CancellationToken))[0];
    }

    private static async Task<SourceStatus> Status(InProcessCluster cluster) => await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus();

    private static async Task<long> Awake(InProcessCluster cluster) => (await Status(cluster)).Silos.Values.Sum(f => f.AwakeEntities);

    private static async Task<int> Activations(InProcessCluster cluster) =>
        (await cluster.Cluster.Client.GetGrain<IManagementGrain>(0).GetSimpleGrainStatistics())
        .Where(s => s.GrainType.EndsWith(".EntityGrain,CdcOrleans.Grains", StringComparison.Ordinal)).Sum(s => s.ActivationCount);
}
