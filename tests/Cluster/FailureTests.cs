using System.Diagnostics;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>What breaks, and that nothing is lost, nothing out of order, and little repeated.</summary>
public sealed class FailureTests(PostgresFixture postgres)
{
    [Fact]
    public async Task Killed_again_and_again_under_load_everything_arrives_in_order_and_only_the_last_interval_repeats()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema);
        var silo = await pipeline.Run();
        var work = PostgresServer.Execute(pipeline.Database, "CALL work(20000)");
        var repeatable = 0L;
        for (var kill = 0; kill < 3; kill++)
        {
            var seen = pipeline.Events("items").Count;
            await silo.Until(() => Task.FromResult(pipeline.Events("items").Count > seen + 500), "to deliver");

            // What is finished but not yet in a checkpoint can repeat, and what was on its way: no more than the window held.
            repeatable += Pipeline.Reader(await silo.Source("shop")).GetProperty("window").GetProperty("changes").GetInt64() + 4000;
            await silo.Kill();
            await silo.DisposeAsync();
            silo = await pipeline.Run();
        }

        await work;
        await pipeline.Drained(silo);
        await silo.Stop();
        await silo.DisposeAsync();

        var events = pipeline.Events("items");
        var duplicates = Delivered.AssertOrder(events);
        Assert.Equal(40000, events.Select(e => e.Id).Distinct().Count());
        Assert.InRange(duplicates, 0, repeatable);
        var rows = await PostgresServer.Scalar(pipeline.Database, "SELECT sum(n) FROM items");
        Assert.Equal("40000", rows);
        var last = events.GroupBy(e => e.Key).Sum(e => e.MaxBy(d => d.Version)!.After.GetProperty("n").GetInt32());
        Assert.Equal(40000, last);
    }

    [Fact]
    public async Task A_silo_that_was_killed_is_ready_again_within_five_seconds()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema);
        var silo = await pipeline.Run();
        for (var kill = 0; kill < 3; kill++)
        {
            await PostgresServer.Execute(pipeline.Database, "CALL work(50)");
            await pipeline.Drained(silo);
            await silo.Kill();
            await silo.DisposeAsync();
            var watch = Stopwatch.StartNew();
            silo = await pipeline.Run();
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"It took {watch.Elapsed}.\n{silo.Output}");
        }

        await PostgresServer.Execute(pipeline.Database, "CALL work(50)");
        await pipeline.Drained(silo);
        await silo.DisposeAsync();
        Assert.Equal(400, pipeline.Events("items").Select(e => e.Id).Distinct().Count());
    }

    [Fact]
    public async Task Killed_in_mid_transaction_the_rest_of_it_arrives()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);");
        await using (var silo = await pipeline.Run())
        {
            await PostgresServer.Execute(pipeline.Database, "INSERT INTO items SELECT i, i FROM generate_series(1, 300000) i");
            await silo.Until(() => Task.FromResult(pipeline.Events("items").Count > 20_000), "to be in mid-transaction");
            await silo.Kill();
        }

        Assert.True(pipeline.Events("items").Count < 300_000, "It was killed too late to have been in mid-transaction.");
        await using (var silo = await pipeline.Run())
        {
            await pipeline.Drained(silo, TimeSpan.FromMinutes(2));
        }

        var events = pipeline.Events("items");
        Delivered.AssertOrder(events);
        Assert.Equal(300_000, events.Select(e => e.Key).Distinct().Count());
        Assert.Equal(300_000, events.Select(e => e.Id).Distinct().Count());
    }

    [Theory]
    [InlineData("fast")]
    [InlineData("immediate")]
    public async Task PostgreSQL_restarted_while_streaming_nothing_is_lost(string mode)
    {
        await using var server = await PostgresServer.Start();
        await using var pipeline = await Pipeline.Create(server, CountedItems.Schema);
        await using (var silo = await pipeline.Run())
        {
            await PostgresServer.Execute(pipeline.Database, "CALL work(500)");
            await server.Stop(mode);
            await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() != "streaming", "to notice");
            await server.StartAgain();
            await PostgresServer.Execute(pipeline.Database, "CALL work(500)");
            await pipeline.Drained(silo);
        }

        var events = pipeline.Events("items");
        Delivered.AssertOrder(events);
        Assert.Equal(2000, events.Select(e => e.Id).Distinct().Count());
    }

    [Fact]
    public async Task Another_silo_takes_over_from_a_killed_one_within_ten_seconds()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema);
        var second = pipeline.PathOf("second.yaml");
        var secondGateway = await pipeline.Configure(second);
        await using var first = await pipeline.Run();
        await using var other = SiloProcess.Launch(secondGateway, "run", "--config", second);
        await other.Ready();
        await PostgresServer.Execute(pipeline.Database, "CALL work(500)");
        await pipeline.Drained(first);

        var (dies, lives) = await Reads(first) ? (first, other) : (other, first);
        await dies.Kill();
        var watch = Stopwatch.StartNew();
        await PostgresServer.Execute(pipeline.Database, "CALL work(500)");
        await pipeline.Drained(lives);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"It took {watch.Elapsed}.\n{lives.Output}");

        var events = pipeline.Events("items");
        Delivered.AssertOrder(events);
        Assert.Equal(2000, events.Select(e => e.Id).Distinct().Count());

        async Task<bool> Reads(SiloProcess silo) =>
            silo.Output.Contains("streaming, epoch", StringComparison.Ordinal) && (await silo.Source("shop")).GetProperty("state").GetString() == "streaming";
    }

    [Theory]
    [InlineData(2, 4)]
    [InlineData(3, 7)]
    public async Task However_often_a_silo_freezes_the_others_go_on_within_ten_seconds(int count, int freezes)
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema);
        var paths = new string[count];
        var gateways = new Uri[count];
        var silos = new SiloProcess[count];
        try
        {
            for (var i = 0; i < count; i++)
            {
                paths[i] = i == 0 ? pipeline.Config : pipeline.PathOf($"silo{i}.yaml");
                gateways[i] = i == 0 ? pipeline.Gateway : await pipeline.Configure(paths[i]);
                await Launch(i);
            }

            await PostgresServer.Execute(pipeline.Database, "CALL work(100)");
            await pipeline.Drained(silos[0]);

            var times = new List<string>();
            for (var freeze = 0; freeze < freezes; freeze++)
            {
                // The reader's silo and another one in turn.
                var epoch = Pipeline.Reader(await silos[0].Source("shop")).GetProperty("epoch").GetInt64();
                var reads = Array.FindIndex(silos, s => s.Output.Contains($"streaming, epoch {epoch},", StringComparison.Ordinal));
                var frozen = freeze % 2 == 0 ? reads : (reads + 1 + (freeze / 2 % (count - 1))) % count;
                var lives = silos[(frozen + 1) % count];
                await silos[frozen].Signal("STOP");
                var watch = Stopwatch.StartNew();
                await PostgresServer.Execute(pipeline.Database, "CALL work(100)");
                await pipeline.Drained(lives);
                times.Add($"{(frozen == reads ? "reader" : "other")} {watch.Elapsed.TotalSeconds:0.0}");
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"Seconds: {string.Join(", ", times)}.\n{string.Join("\n=== another silo\n", silos.Where(s => s != silos[frozen]).Select(s => s.Output))}");

                // It finds that it was declared dead, and ends. Another one takes its place.
                await silos[frozen].Signal("CONT");
                await silos[frozen].Ended();
                await silos[frozen].DisposeAsync();
                await Launch(frozen);
            }

            TestContext.Current.SendDiagnosticMessage($"Seconds after a freeze: {string.Join(", ", times)}");
        }
        finally
        {
            foreach (var silo in silos.Where(s => s is not null))
                await silo.DisposeAsync();
        }

        var events = pipeline.Events("items");
        Delivered.AssertOrder(events);
        Assert.Equal(200 * (1 + freezes), events.Select(e => e.Id).Distinct().Count());

        async Task Launch(int i)
        {
            silos[i] = SiloProcess.Launch(gateways[i], "run", "--config", paths[i]);
            await silos[i].Ready();
        }
    }

    [Fact]
    public async Task A_frozen_owner_that_wakes_after_another_took_over_is_refused()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema);
        var second = pipeline.PathOf("second.yaml");
        var secondGateway = await pipeline.Configure(second);
        await using var first = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "CALL work(100)");
        await pipeline.Drained(first);
        await using var other = SiloProcess.Launch(secondGateway, "run", "--config", second);
        await other.Ready();

        await first.Signal("STOP");
        var work = PostgresServer.Execute(pipeline.Database, "CALL work(2000)");
        await pipeline.Drained(other);
        await first.Signal("CONT");
        await work;
        await PostgresServer.Execute(pipeline.Database, "CALL work(100)");
        await pipeline.Drained(other);

        var events = pipeline.Events("items");
        Assert.Equal(2 * 2200, events.Select(e => e.Id).Distinct().Count());
        var epoch = Pipeline.Reader(await other.Source("shop")).GetProperty("epoch").GetInt64();
        Assert.True(epoch > 1);
    }
}
