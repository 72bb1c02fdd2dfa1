using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>On servers of their own: a new slot's horizon is that of the oldest one there.</summary>
public sealed class ColumnNumberTests
{
    [Fact]
    public async Task A_column_that_was_replaced_by_its_like_while_nobody_read_has_no_number()
    {
        await using var server = await PostgresServer.Start();
        await using var capture = await Capture(server, "CREATE TABLE t (id int PRIMARY KEY, gone int, x int, y int); ALTER TABLE t DROP gone");
        await capture.Start();
        await capture.Execute("INSERT INTO t VALUES (1, 1, 1)");
        var (first, _) = await capture.NextTransaction();
        Assert.Equal([1, 3, 4], first[0].Table.Columns.Select(c => c.Number));

        await capture.Stream.DisposeAsync();
        await capture.Execute("INSERT INTO t VALUES (2, 2, 2)");
        await capture.Execute("ALTER TABLE t DROP y; ALTER TABLE t ADD y int");
        await capture.Restart();
        Assert.Equal([1, 3, 4], await NumbersOf(capture, "2"));
        await capture.Stream.DisposeAsync();

        // A reader that has not read the relation before has only the catalog.
        await using var other = capture.Again(s => s, new MemorySchemaStore());
        await other.Start();
        Assert.Equal([1, 3, 0], await NumbersOf(other, "2"));
    }

    [Fact]
    public async Task A_column_dropped_while_streaming_leaves_the_others_their_numbers()
    {
        await using var server = await PostgresServer.Start();
        await using var capture = await Capture(server, "CREATE TABLE t (id int PRIMARY KEY, x int, y int)");
        await capture.Start();
        await capture.Execute("ALTER TABLE t DROP x; ALTER TABLE t ADD z int");
        await capture.Execute("INSERT INTO t VALUES (1, 1, 1)");
        Assert.Equal([1, 3, 4], (await capture.NextTransaction()).Changes[0].Table.Columns.Select(c => c.Number));
    }

    private static async Task<IEnumerable<int>> NumbersOf(CaptureUnderTest capture, string key)
    {
        while (true)
        {
            var (changes, _) = await capture.NextTransaction();
            if (changes[0].Entity.Key == key)
                return changes[0].Table.Columns.Select(c => c.Number);
        }
    }

    private static async Task<CaptureUnderTest> Capture(PostgresServer server, string schema)
    {
        var database = await server.CreateDatabase("db");
        await PostgresServer.Execute(database, schema);
        return new CaptureUnderTest("numbers", database, ["public.*"]);
    }
}
