using CdcOrleans.Conformance;
using CdcOrleans.Testing;
using Xunit;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(Servers))]
[assembly: Parallelization(Mode = Xunit.Sdk.ParallelMode.All)]

namespace CdcOrleans.Conformance;

/// <summary>One database server, one broker and, where it can run, one Kafka Connect for all scripts.</summary>
public sealed class Servers : IAsyncLifetime
{
    private ConnectPeer? _peer;

    public PostgresServer Postgres { get; private set; } = null!;

    public KafkaBroker Kafka { get; private set; } = null!;

    internal ConnectPeer? Peer => _peer;

    public async ValueTask InitializeAsync()
    {
        Postgres = await PostgresServer.Start(
            "max_replication_slots=200", "max_wal_senders=200", "max_connections=400", "max_prepared_transactions=10");
        Kafka = await KafkaBroker.Start();
        if (Kafka.IsReal && TestServers.Find("connect") is { } script)
            _peer = await ConnectPeer.Start(script, Kafka.Bootstrap);
    }

    public async ValueTask DisposeAsync()
    {
        if (_peer is not null)
            await _peer.DisposeAsync();
        await Kafka.DisposeAsync();
        await Postgres.DisposeAsync();
    }
}
