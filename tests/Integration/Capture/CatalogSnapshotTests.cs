using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

public sealed class CatalogSnapshotTests
{
    [Fact]
    public async Task A_table_that_a_transaction_altered_has_its_shape_though_the_commit_waits_for_a_standby()
    {
        await using var server = await PostgresServer.Start();
        var database = await server.CreateDatabase("db");
        await PostgresServer.Execute(database, "CREATE TABLE t (a int, b int, n int, PRIMARY KEY (b, a)); ALTER TABLE t REPLICA IDENTITY FULL; CREATE TABLE u (id int PRIMARY KEY)");
        await using var capture = new CaptureUnderTest("late", database, ["public.*"]);
        await capture.Start();
        await PostgresServer.Execute(database, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        await PostgresServer.Execute(database, "SELECT pg_reload_conf()");
        await capture.Until("current_setting('synchronous_standby_names') = 'nobody'");

        // One that alters nothing needs no waiting.
        var plain = capture.Execute("INSERT INTO u VALUES (1)");
        Assert.Equal("public.u/1", Assert.Single((await capture.NextTransaction()).Changes).Entity.ToString());

        var altering = capture.Execute("BEGIN; CREATE TYPE mood AS ENUM ('low'); ALTER TABLE t ADD m mood NOT NULL DEFAULT 'low'; INSERT INTO t VALUES (1, 2, 3); COMMIT");
        var reading = capture.NextTransaction();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!capture.Log.Lines.Any(l => l.Contains("altered table public.t", StringComparison.Ordinal)))
            await Task.Delay(20, patience.Token);
        Assert.False(altering.IsCompleted || reading.IsCompleted || plain.IsCompleted);
        await PostgresServer.Execute(database, "ALTER SYSTEM SET synchronous_standby_names = ''");
        await PostgresServer.Execute(database, "SELECT pg_reload_conf()");
        await Task.WhenAll(altering, plain);

        var change = Assert.Single((await reading).Changes);
        Assert.Equal("public.t/2,1", change.Entity.ToString());
        Assert.Equal("public.mood", change.Table.Columns[3].TypeName);
        Assert.Equal([1, 2, 3, 4], change.Table.Columns.Select(c => c.Number));
        Assert.False(change.Table.Columns[3].Nullable);
        Assert.Single(capture.Log.Lines, l => l.Contains("altered table public.t", StringComparison.Ordinal));
    }
}
