using CdcOrleans.Cluster;
using CdcOrleans.Testing;
using Xunit;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(PostgresFixture))]
[assembly: Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace CdcOrleans.Cluster;

/// <summary>One PostgreSQL server for the suite; tests that stop it start their own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    public PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await PostgresServer.Start();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
