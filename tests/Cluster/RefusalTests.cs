using CdcOrleans.Testing;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>What cannot run is refused with place and remedy, exit code 2, before anything is changed in the source.</summary>
public sealed class RefusalTests(PostgresFixture postgres)
{
    private const string Schema = "CREATE TABLE items (id int PRIMARY KEY);";

    [Theory]
    [InlineData("postgres:", "postgress:", "did you mean")]
    [InlineData("format: debezium", "format: debezum", "debezium")]
    [InlineData("Host=127.0.0.1", "Host=127.0.0.1;Password=${NO_SUCH_VARIABLE_SET}", "NO_SUCH_VARIABLE_SET")]
    public async Task A_wrong_configuration(string right, string wrong, string said)
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await Change(pipeline, right, wrong);
        await Refused(pipeline, "cdc.yaml:", said);
    }

    [Fact]
    public async Task A_duplicate_route()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        const string route = "  - { from: \"shop.public.*\", to: out, format: debezium }";
        await Change(pipeline, route, $"{route}\n{route}");
        await Refused(pipeline, "routes", "out");
    }

    [Fact]
    public async Task A_table_without_a_key()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, "CREATE TABLE heap (n int);");
        await Change(pipeline, "\"public.*\"", "\"public.heap\"");
        await Refused(pipeline, "heap", "key");
    }

    [Fact]
    public async Task A_table_without_a_key_that_only_a_pattern_selects_is_left_out_and_named()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, "CREATE TABLE heap (n int); CREATE TABLE items (id int PRIMARY KEY)");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO heap VALUES (1); INSERT INTO items VALUES (1); UPDATE heap SET n = 2");
        await pipeline.Drained(silo);
        Assert.Single(pipeline.Events("items"));
        var left = Assert.Single((await silo.Source("shop")).GetProperty("leftOut").EnumerateArray()).GetString();
        Assert.Contains("public.heap", left, StringComparison.Ordinal);
        Assert.Contains("REPLICA IDENTITY FULL", left, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_without_replication()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await PostgresServer.Execute(pipeline.Database, "DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN");
        await Change(pipeline, $"connection: {pipeline.Database}\n", $"connection: {pipeline.Database.Replace("Username=postgres", "Username=poor", StringComparison.Ordinal)}\n");
        await Refused(pipeline, "REPLICATION", "ALTER ROLE");
    }

    [Fact]
    public async Task A_server_without_logical_decoding()
    {
        await using var server = await PostgresServer.Start("wal_level=replica");
        await using var pipeline = await Pipeline.Create(server, Schema);
        await Refused(pipeline, "wal_level", "logical");
    }

    [Fact]
    public async Task An_unreachable_database()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        var port = PostgresServer.FreePort();
        await Change(pipeline, $"connection: {pipeline.Database}\n", $"connection: Host=127.0.0.1;Port={port};Database=none;Username=postgres;Password=secret-word\n");
        var output = await Refused(pipeline, $"127.0.0.1:{port}", "sources.shop.postgres.connection");
        Assert.DoesNotContain("secret-word", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slot_in_use_by_somebody_else()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await PostgresServer.Execute(pipeline.Database, $"CREATE PUBLICATION {pipeline.Slot} FOR TABLE items");
        await PostgresServer.Execute(pipeline.Database, $"SELECT pg_create_logical_replication_slot('{pipeline.Slot}', 'pgoutput')");
        await using var stranger = new LogicalReplicationConnection(pipeline.Database);
        await stranger.Open();
        using var stop = new CancellationTokenSource();
        var reading = stranger.StartReplication(
            new PgOutputReplicationSlot(pipeline.Slot),
            new PgOutputReplicationOptions(pipeline.Slot, PgOutputProtocolVersion.V1),
            stop.Token).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        var first = reading.MoveNextAsync();
        while (await PostgresServer.Scalar(pipeline.Database, $"SELECT active::text FROM pg_replication_slots WHERE slot_name = '{pipeline.Slot}'") != "true")
            await Task.Yield();
        await using var silo = SiloProcess.Launch(pipeline.Gateway, "run", "--config", pipeline.Config);
        Assert.Equal(2, await silo.Ended());
        Assert.Contains("in use", silo.Output, StringComparison.Ordinal);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await first);
    }

    [Fact]
    public async Task Check_says_when_all_is_well_and_changes_nothing()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema);
        await using var check = SiloProcess.Launch(pipeline.Gateway, "check", "--config", pipeline.Config);
        Assert.Equal(0, await check.Ended());
        Assert.Contains("ready", check.Output, StringComparison.Ordinal);
        await Untouched(pipeline);
    }

    private static async Task<string> Refused(Pipeline pipeline, params string[] said)
    {
        await using var silo = SiloProcess.Launch(pipeline.Gateway, "run", "--config", pipeline.Config);
        Assert.Equal(2, await silo.Ended());
        foreach (var word in said)
            Assert.Contains(word, silo.Output, StringComparison.Ordinal);
        await Untouched(pipeline);
        return silo.Output;
    }

    private static async Task Untouched(Pipeline pipeline)
    {
        Assert.Equal("0", await PostgresServer.Scalar(pipeline.Database, $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{pipeline.Slot}'"));
        Assert.Equal("0", await PostgresServer.Scalar(pipeline.Database, "SELECT count(*) FROM pg_publication"));
    }

    private static async Task Change(Pipeline pipeline, string right, string wrong)
    {
        var text = await File.ReadAllTextAsync(pipeline.Config);
        Assert.Contains(right, text, StringComparison.Ordinal);
        await File.WriteAllTextAsync(pipeline.Config, text.Replace(right, wrong, StringComparison.Ordinal));
    }
}
