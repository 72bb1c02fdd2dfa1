using System.Net.Http.Json;
using System.Text.Json;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>A replay to a file sink by a real silo, which is killed in the middle while rows change.</summary>
public sealed class ReplayTests(PostgresFixture postgres)
{
    private const string Schema = """
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
        CREATE PROCEDURE work(rounds int) LANGUAGE plpgsql AS $$
        BEGIN
          FOR i IN 1..rounds LOOP
            UPDATE items SET n = n + 1 WHERE id = 1 + (i * 7) % 3000;
            UPDATE items SET n = n + 1 WHERE id = 1 + (i * 11) % 20;
            COMMIT;
          END LOOP;
        END $$;
        """;

    [Fact]
    public async Task A_silo_that_was_killed_goes_on_with_its_replay_and_the_sink_ends_with_the_newest_rows()
    {
        await using var pipeline = await Pipeline.Create(
            postgres.Server, Schema, sinks: "out: { type: file, directory: ./out }\nsearch: { type: file, directory: ./search }",
            routes: """- { from: "shop.public.*", to: [out, search], format: debezium }""");
        var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items SELECT i, 0 FROM generate_series(1, 3000) i");
        await pipeline.Drained(silo);
        var begin = pipeline.Events("items", "search").Count;
        var id = await Start(silo);

        // What is not durable at the start is sent first. There is nothing of that kind here, so it can be counted what repeats.
        await silo.Until(async () => (await Replay(silo, id)).GetProperty("rowsDone").GetInt64() > 0, "to begin the replay");
        var work = PostgresServer.Execute(pipeline.Database, "CALL work(6000)");
        await silo.Until(async () => (await Replay(silo, id)).GetProperty("rowsDone").GetInt64() is > 500 and < 2500, "to replay some rows");
        var done = (await Replay(silo, id)).GetProperty("rowsDone").GetInt64();
        await silo.Kill();
        var killed = pipeline.Events("items", "search").Count;
        await silo.DisposeAsync();

        silo = await pipeline.Run();
        Assert.Equal("running", (await Replay(silo, id)).GetProperty("state").GetString());
        Assert.True((await Replay(silo, id)).GetProperty("rowsDone").GetInt64() >= done);
        await silo.Until(async () => (await Replay(silo, id)).GetProperty("state").GetString() == "done", "to finish the replay");
        await work;
        await pipeline.Drained(silo);
        await silo.Stop();
        await silo.DisposeAsync();

        var events = pipeline.Events("items", "search");
        AssertOrder(events.Take(killed));
        AssertOrder(events.Skip(killed));
        var replayed = events.Skip(begin).Where(e => e.Op == "r").ToList();
        Assert.Equal(3000, replayed.Select(e => e.Key).Distinct().Count());

        // One slice of 250 rows.
        Assert.InRange(replayed.Count, 3000, 3000 + 250);
        Assert.DoesNotContain(pipeline.Events("items"), e => e.Op == "r");
        var rows = (await PostgresServer.Scalar(pipeline.Database, "SELECT string_agg(id || '=' || n, ' ' ORDER BY id) FROM items"))!;
        var last = events.GroupBy(e => e.Key).Select(e => e.Last().After).OrderBy(r => r.GetProperty("id").GetInt32()).Select(r => $"{r.GetProperty("id")}={r.GetProperty("n")}");
        Assert.Equal(rows, string.Join(' ', last));
    }

    private static void AssertOrder(IEnumerable<Delivered> events)
    {
        foreach (var entity in events.GroupBy(e => e.Key))
        {
            var newest = ChangeVersion.None;
            foreach (var delivered in entity)
            {
                Assert.True(delivered.Version >= newest, $"{entity.Key}: {delivered.Version} ({delivered.Op}) came after {newest}");
                newest = delivered.Version;
            }
        }
    }

    private static async Task<long> Start(SiloProcess silo)
    {
        using var http = new HttpClient { BaseAddress = silo.Gateway };
        using var response = await http.PostAsJsonAsync("/api/v1/replays", new { source = "shop", sink = "search", tables = new[] { "public.items" }, rate = 1000 });
        var replay = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.True(response.IsSuccessStatusCode, replay.ToString());
        return replay.GetProperty("id").GetInt64();
    }

    private static async Task<JsonElement> Replay(SiloProcess silo, long id) => (await silo.Get($"/api/v1/replays/{id}")).Body;
}
