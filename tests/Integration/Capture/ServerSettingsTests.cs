using CdcOrleans.Model.Capture;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

public sealed class ServerSettingsTests
{
    [Fact]
    public async Task A_server_without_logical_decoding_or_free_places_is_refused()
    {
        await using var server = await PostgresServer.Start("wal_level=replica", "max_replication_slots=1", "max_wal_senders=0");
        var database = await server.CreateDatabase("db");
        await PostgresServer.Execute(database, "CREATE TABLE t (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('taken')");
        await using var capture = new CaptureUnderTest("shop", database, ["public.*"]);

        var failure = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Prepare(null, CancellationToken.None));

        Assert.False(failure.Transient);
        Assert.Contains($"sources.shop.postgres.connection: 127.0.0.1:{server.Port} (user postgres, database db) has wal_level = replica", failure.Message);
        Assert.Contains("ALTER SYSTEM SET wal_level = 'logical'", failure.Message);
        Assert.Contains("all 1 replication slots", failure.Message);
        Assert.Contains("all 0 WAL senders", failure.Message);
        Assert.Equal("0", await capture.Scalar("SELECT count(*) FROM pg_publication"));
        Assert.Equal("1", await capture.Scalar("SELECT count(*) FROM pg_replication_slots"));
    }
}
