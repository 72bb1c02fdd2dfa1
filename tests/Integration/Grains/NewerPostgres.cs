using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>The programs of PostgreSQL 18, where <c>CDC_TEST_SERVERS</c> has them.</summary>
public sealed class NewerPostgres : IAsyncLifetime
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cdc-pg18-{Guid.NewGuid():N}");
    private string? _programs;

    /// <summary>Starts a server of PostgreSQL 18, or of the version that all tests use.</summary>
    public Task<PostgresServer> Start(bool isNewer, params string[] settings)
    {
        if (isNewer && _programs is null)
            Assert.Skip("Needs PostgreSQL 18: there is no script bin/postgres in CDC_TEST_SERVERS or ../shared/servers.");
        return isNewer ? PostgresServer.StartWith(_programs!, settings) : PostgresServer.Start(settings);
    }

    public async ValueTask InitializeAsync()
    {
        if (TestServers.Find("postgres") is not { } script)
            return;
        // It unpacks the programs with the first start.
        await TestServers.Run(script, "start", "--data", _folder);
        await TestServers.Run(script, "stop", "--data", _folder, "--signal", "QUIT");
        _programs = Path.Combine(_folder, "dist", "bin");
    }

    public ValueTask DisposeAsync()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}
