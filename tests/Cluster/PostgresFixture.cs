using CdcOrleans.Cluster;
using CdcOrleans.Testing;
using Xunit;

[assembly: AssemblyFixture(typeof(PostgresFixture))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace CdcOrleans.Cluster;

/// <summary>One PostgreSQL server for the suite; tests that stop it start their own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    public PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await PostgresServer.Start();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
