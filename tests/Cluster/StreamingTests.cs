using System.Globalization;
using System.Net;
using System.Net.Sockets;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>The whole way on a healthy machine.</summary>
public sealed class StreamingTests(PostgresFixture postgres)
{
    private const string Schema = "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, note text);";

    [Fact]
    public async Task Changes_arrive_and_entities_can_be_asked()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await using var silo = await pipeline.Run();
        var note = string.Concat(Enumerable.Range(0, 4000).Select(i => (char)('a' + (i * 7919 % 26))));
        await PostgresServer.Execute(pipeline.Database, $"ALTER TABLE items ALTER note SET STORAGE EXTERNAL; INSERT INTO items VALUES (1, 1, '{note}'), (2, 1, NULL)");
        await PostgresServer.Execute(pipeline.Database, "UPDATE items SET n = 2 WHERE id = 1; DELETE FROM items WHERE id = 2");
        await pipeline.Drained(silo);

        var events = pipeline.Events("items");
        Assert.Equal(["c", "c", "d", "u"], events.Select(e => e.Op).Order());
        var update = events.Single(e => e.Op == "u");
        Assert.Equal(note, update.After.GetProperty("note").GetString());

        var (status, entity) = await silo.Get("api/v1/entities/shop/public.items/1");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(2, entity.GetProperty("row").GetProperty("n").GetInt32());
        Assert.Equal(update.Version.ToString(), entity.GetProperty("version").GetString());
        (status, entity) = await silo.Get("api/v1/entities/shop/public.items/2");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.True(entity.GetProperty("deleted").GetBoolean());
        (status, _) = await silo.Get("api/v1/entities/shop/public.items/3");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Equal(0, await silo.Stop());
    }

    [Fact]
    public async Task The_runtimes_tools_reach_the_process()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The socket's path is that of Linux.");
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await using var silo = await pipeline.Run();
        var path = Assert.Single(Directory.GetFiles(Path.GetTempPath(), $"dotnet-diagnostic-{silo.ProcessId}-*-socket"));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), TestContext.Current.CancellationToken);
        Assert.True(socket.Connected);
    }

    [Fact]
    public async Task A_hot_entity_among_others_stays_in_order_and_nothing_repeats_over_a_planned_restart()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await using (var silo = await pipeline.Run())
        {
            await PostgresServer.Execute(pipeline.Database, "INSERT INTO items SELECT i, 0, NULL FROM generate_series(1, 50) i");
            await PostgresServer.Execute(pipeline.Database, """
                CREATE PROCEDURE work(first int) LANGUAGE plpgsql AS $$
                BEGIN
                  FOR i IN first..first + 499 LOOP
                    UPDATE items SET n = i WHERE id = 1;
                    UPDATE items SET n = i WHERE id = 2 + i % 49;
                    COMMIT;
                  END LOOP;
                END $$
                """);
            await PostgresServer.Execute(pipeline.Database, "CALL work(1)");
            await PostgresServer.Execute(pipeline.Database, "CALL work(501)");
            Assert.Equal(0, await silo.Stop());
        }

        await using (var silo = await pipeline.Run())
        {
            await PostgresServer.Execute(pipeline.Database, "CALL work(1001)");
            await pipeline.Drained(silo);
        }

        var events = pipeline.Events("items");
        Assert.Equal(0, Delivered.AssertOrder(events));
        Assert.Equal(50 + 3000, events.Count);
        Assert.Equal(
            Enumerable.Range(0, 1501).Select(i => i.ToString(CultureInfo.InvariantCulture)),
            events.Where(e => e.Key == """{"id":1}""").Select(e => e.After.GetProperty("n").GetRawText()));
    }

    [Fact]
    public async Task A_transaction_of_a_million_rows_passes_with_a_flat_working_set()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await using var silo = await pipeline.Run();

        // The first two hundred thousand make the process as large as its window, its entity cache and its garbage are.
        var before = await pipeline.PeakOf(silo, "INSERT INTO items SELECT i, i, 'first' FROM generate_series(1, 200000) i", TimeSpan.FromMinutes(4));
        var most = await pipeline.PeakOf(silo, "INSERT INTO items SELECT i, i, 'then' FROM generate_series(200001, 1200000) i", TimeSpan.FromMinutes(4));

        Assert.Equal(1_200_000, File.ReadLines(Path.Combine(pipeline.Out, "shop.public.items.ndjson")).Count());
        TestContext.Current.SendDiagnosticMessage($"Working set: {before >> 20} MiB at most with 200,000 rows, {most >> 20} MiB in the transaction of a million.");
        Assert.True(most < before + (250L << 20), $"The working set rose from {before >> 20} to {most >> 20} MiB.");
    }

    [Fact]
    public async Task An_idle_database_does_not_hold_its_log()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema + "CREATE SCHEMA other; CREATE TABLE other.noise (id int);");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO other.noise SELECT generate_series(1, 10000)");

        // Nothing captured has changed: only a heartbeat can carry the slot past this.
        await pipeline.Drained(silo, TimeSpan.FromSeconds(30));
    }
}
