using CdcOrleans.Model.Configuration;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>One server for the tests of a class; each test takes a database of its own.</summary>
public sealed class CaptureServer : IAsyncLifetime
{
    private int _databases;

    public PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await PostgresServer.Start();

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    /// <summary>A capture of a new database with the given tables.</summary>
    internal Task<CaptureUnderTest> Capture(string schema, params string[] tables) => Capture(schema, source => source, tables);

    /// <summary>The same, with a configuration of its own.</summary>
    internal async Task<CaptureUnderTest> Capture(string schema, Func<SourceConfiguration, SourceConfiguration> configure, params string[] tables)
    {
        var name = $"db{Interlocked.Increment(ref _databases)}";
        var database = await Server.CreateDatabase(name);
        await PostgresServer.Execute(database, schema);
        return new CaptureUnderTest(name, database, tables.Length == 0 ? ["public.*"] : tables, null, configure);
    }
}
