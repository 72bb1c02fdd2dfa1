using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>What goes wrong while a backfill runs: it says what, the other tables go on, and in the end the sink has what the table has.</summary>
public sealed class BackfillTroubleTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task Tables_that_are_altered_while_they_are_read()
    {
        var owner = "";
        var readers = new GatedReaders([.. AlteredTables.All.Select(t => t.Name)]);
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1, AlteredTables.Schema,
            s => s with
            {
                Connection = new NpgsqlConnectionStringBuilder(s.Connection) { Username = AlteredTables.Role }.ConnectionString,
                Events = s.Events with { Skip = SkippedOperations.None },
            },
            prepare: database => Task.FromResult(owner = database),
            services: readers.AddTo);
        await cluster.Streaming();
        var backfills = new BackfillsUnderTest(cluster, owner);
        var tables = Task.WhenAll(AlteredTables.All.Select(t => Alter(backfills, readers, t, owner)));
        await ((Task)tables).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        Assert.True(tables.IsCompletedSuccessfully, string.Join('\n', tables.Exception?.InnerExceptions.Select(e => e.Message) ?? []));
        await backfills.CaughtUp();
        foreach (var table in AlteredTables.All.Where(t => t.Becomes is not null))
            await backfills.SameAsTable(table.Becomes!, table.Key);
        Assert.Equal("7", backfills.Rows("widened")["399"].GetProperty("w").ToString());
        Assert.Equal("5", backfills.Rows("revoked")["3"].GetProperty("n").ToString());
    }

    private static async Task Alter(BackfillsUnderTest backfills, GatedReaders readers, AlteredTable table, string owner)
    {
        var id = await backfills.Start(
            [new() { Place = 0, Table = $"public.{table.Name}", Where = table.Where, Columns = table.Columns }, new() { Place = 1, Table = $"public.{table.Calm}" }]);
        await backfills.SomeRows(table.Name);
        foreach (var statement in table.Statements)
            await PostgresServer.Execute(owner, statement);
        readers.Let(table.Name);
        var ended = await backfills.Ended(id);
        var read = ended.Tables[0];
        if (table.Error is null)
            Assert.True(read.Error is null, read.Error);
        else
            Assert.Contains(table.Error, read.Error ?? $"{table.Name} was read", StringComparison.Ordinal);
        Assert.Equal(table.Error is null ? BackfillState.Done : BackfillState.Failed, ended.State);
        Assert.True(read.IsDone && ended.Tables[1] is { IsDone: true, Sent: 3, Error: null });
        Assert.InRange(read.RowsDone, 0, AlteredTables.Rows + 1);
        if (table.Error is null)
            Assert.True(read.Sent + read.Unchanged > read.RowsDone == table.IsBegunAgain, $"{table.Name}: {read}");
        await backfills.SameAsTable(table.Calm);
    }

    [Fact]
    public async Task While_a_database_cannot_be_reached_or_written_the_backfill_waits_and_then_goes_on()
    {
        var readers = new GatedReaders("doc");
        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 1,
            """
            CREATE TABLE doc (id int PRIMARY KEY, n int, t text); INSERT INTO doc SELECT i, 0, 'x' FROM generate_series(1, 1000) i;
            CREATE TABLE large (id int PRIMARY KEY, t text, n int); ALTER TABLE large ALTER t SET STORAGE EXTERNAL;
            INSERT INTO large SELECT i, repeat('y', CASE WHEN i = 2 THEN 100000000 WHEN i = 3 THEN 900000 ELSE 10 END), i FROM generate_series(1, 4) i;
            """,
            s => s with { LargeValues = new LargeValueOptions { Limit = 1_000_000 } },
            services: readers.AddTo);
        await cluster.Streaming();
        var backfills = new BackfillsUnderTest(cluster, cluster.Source);
        var id = await backfills.Start([new() { Place = 0, Table = "public.doc" }, new() { Place = 1, Table = "public.large" }]);
        await backfills.SomeRows("doc");

        await Full(cluster, "INSERT ON cdc.backfill_chunks");
        readers.Let("doc", 1);
        await backfills.Waits(id, "The control database does not store the progress of the backfill: The control database lacks resources: could not extend file (53100)");
        await NotFull(cluster);
        await Full(cluster, "INSERT OR UPDATE ON cdc.entity_states");
        readers.Let("doc", 1);
        await backfills.Waits(id, "The control database takes no checkpoint: ");
        await NotFull(cluster);
        await Full(cluster, "UPDATE ON cdc.backfill_tables");
        await InProcessCluster.Until(async () => long.Parse((await cluster.Control.Scalar("SELECT last_value FROM tries"))!, null) > 1, "the progress to be refused");
        await NotFull(cluster);

        var elsewhere = new NpgsqlConnectionStringBuilder(cluster.Source) { Database = "postgres" }.ConnectionString;
        var database = new NpgsqlConnectionStringBuilder(cluster.Source).Database;
        await PostgresServer.Execute(elsewhere, $"ALTER DATABASE {database} ALLOW_CONNECTIONS false");
        await PostgresServer.Execute(elsewhere, $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
        readers.Let("doc");
        await backfills.Waits(id, "takes no connections now");
        await PostgresServer.Execute(elsewhere, $"ALTER DATABASE {database} ALLOW_CONNECTIONS true");

        var ended = await backfills.Ended(id);
        Assert.True(ended.State == BackfillState.Done, string.Join(' ', ended.Tables.Select(t => t.Error)));
        Assert.Equal([1000L, 4], ended.Tables.Select(t => t.RowsDone));
        Assert.Null(ended.Waiting);
        await cluster.Streaming();
        await backfills.CaughtUp();
        await backfills.SameAsTable("doc");
        var large = backfills.Rows("large");
        Assert.Equal(
            ["1 10 1", "2 28 2", "3 900000 3", "4 10 4"],
            large.OrderBy(r => r.Key, StringComparer.Ordinal).Select(r => $"{r.Key} {r.Value.GetProperty("t").GetString()!.Length} {r.Value.GetProperty("n")}"));
        Assert.Equal("__debezium_unavailable_value", large["2"].GetProperty("t").GetString());
    }

    // As when the disk is full. A sequence counts the attempts, because it is not rolled back.
    private static async Task Full(InProcessCluster cluster, string when) => await cluster.Control.Scalar(
        $"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN PERFORM nextval('public.tries'); RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $body$;
        CREATE TRIGGER full_disk BEFORE {when} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()
        """);

    private static async Task NotFull(InProcessCluster cluster) => await cluster.Control.Scalar("DROP FUNCTION full_disk CASCADE; DROP SEQUENCE tries");
}
