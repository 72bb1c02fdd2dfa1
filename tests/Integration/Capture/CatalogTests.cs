using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

/// <summary>What the catalog says of tables that the log says less of.</summary>
public sealed class CatalogTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_generated_column_is_passed_over_and_a_key_that_has_one_is_none()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE plain (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, note text NOT NULL);
            CREATE TABLE cut (a int, b int, half int GENERATED ALWAYS AS (b / 2) STORED, note text, PRIMARY KEY (a, half));
            """);
        await capture.Start();
        await capture.Execute("BEGIN; INSERT INTO plain VALUES (1, DEFAULT, 'n'); INSERT INTO cut VALUES (1, 2, DEFAULT, 'x'), (1, 4, DEFAULT, 'y'); COMMIT");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(["public.plain/1", "public.cut/", "public.cut/"], changes.Select(c => c.Entity.ToString()));
        Assert.Equal([1, 3], changes[0].Table.Columns.Select(c => c.Number));
        Assert.Equal([false, false], changes[0].Table.Columns.Select(c => c.Nullable));
        Assert.Single(capture.Log.Lines, l => l.Contains("the log lacks some of the columns that identify rows of table public.cut", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Old_rows_of_partitions_that_are_known_by_their_key_are_no_whole_rows()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE p (id int, n int, body text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
            CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10); ALTER TABLE p_low REPLICA IDENTITY FULL; ALTER TABLE p_low ALTER body SET STORAGE EXTERNAL;
            ALTER TABLE p REPLICA IDENTITY FULL;
            """);
        await capture.Start();
        await capture.Execute("INSERT INTO p VALUES (1, 1, repeat('x', 5000)); UPDATE p SET n = 2");
        var (whole, _) = await capture.NextTransaction();
        Assert.False(whole[1].BeforeIsKeyOnly);
        Assert.Equal(5000, Values(whole[1].After)[2]!.Length);

        // Another partition, which has an identity of its own, under the same announcement.
        await capture.Execute("CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (10) TO (20); ALTER TABLE p_high ALTER body SET STORAGE EXTERNAL");
        await capture.Execute("INSERT INTO p VALUES (11, 1, repeat('y', 5000)); UPDATE p SET n = 2 WHERE id = 11; UPDATE p SET id = 12 WHERE id = 11; DELETE FROM p WHERE id = 12");
        var (cut, _) = await capture.NextTransaction();
        Assert.Equal("(unchanged)", Values(cut[1].After)[2]);
        Assert.Equal(
            ["11 Create", "11 Update", "11 Delete", "12 Create", "12 Delete"], cut.Select(c => $"{c.Entity.Key} {c.Operation}"));
        Assert.All(cut.Where(c => c.Before.IsPresent), c => Assert.True(c.BeforeIsKeyOnly));
        Assert.Single(capture.Log.Lines, l => l.Contains("public.p has REPLICA IDENTITY FULL but not all of its partitions", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_table_that_somebody_has_locked_holds_nothing_up()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 7); CREATE TABLE u (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Stream.DisposeAsync();
        await capture.Execute("INSERT INTO t VALUES (1)");
        await using var other = new NpgsqlConnection(capture.Database);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await using (var locking = new NpgsqlCommand("LOCK TABLE t IN ACCESS EXCLUSIVE MODE", other))
            await locking.ExecuteNonQueryAsync();
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        await capture.Restart();
        Assert.Equal("public.t/1", Assert.Single((await capture.NextTransaction()).Changes).Entity.ToString());
    }

    [Fact]
    public async Task A_publication_of_a_schema_or_of_all_tables_lacks_none()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0);
            """);
        var publication = "\"" + capture.Source.Publication.Replace("\"", "\"\"") + "\"";
        foreach (var scope in new[] { "TABLES IN SCHEMA public", "ALL TABLES" })
        {
            await capture.Execute($"DROP PUBLICATION IF EXISTS {publication}; CREATE PUBLICATION {publication} FOR {scope} WITH (publish_via_partition_root = true)");
            Assert.Empty(await capture.Capture.Check(CancellationToken.None));
            await capture.Capture.Prepare(null, CancellationToken.None);
            Assert.Equal("0", await capture.Scalar("SELECT count(*) FROM pg_publication_rel"));
        }
    }
}
