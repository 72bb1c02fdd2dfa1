using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

[assembly: AssemblyFixture(typeof(ControlServer))]

namespace CdcOrleans.Integration.Storage;

/// <summary>One server for all tests of the control database; each test takes a database of its own. The role "secured" needs a password.</summary>
public sealed class ControlServer : IAsyncLifetime
{
    private const string Template = "migrated";

    private string _access = "";
    private PostgresServer? _server;

    public PostgresServer Server => _server!;

    public async ValueTask InitializeAsync()
    {
        _access = Path.Combine(Path.GetTempPath(), $"cdc-hba-{Guid.NewGuid():N}");
        await File.WriteAllLinesAsync(_access, ["host all secured 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust"]);
        _server = await PostgresServer.Start($"hba_file='{_access}'", "autovacuum=off");
        await PostgresServer.Execute(_server.Connection(), "CREATE ROLE secured LOGIN PASSWORD 'correct'");
        await ControlDatabase.Migrate(_server.Connection(Template), NullLogger.Instance, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
        File.Delete(_access);
    }

    /// <summary>A database of its own, as the release leaves it: a copy of one that was migrated.</summary>
    public async Task<ControlStores> Migrated()
    {
        var name = $"cdc_{Guid.NewGuid():N}";
        await PostgresServer.Execute(Server.Connection(), $"CREATE DATABASE {name} TEMPLATE {Template}");
        return new ControlStores(Server.Connection(name));
    }
}

/// <summary>The stores as a silo has them; several on one connection string stand for several silos.</summary>
public sealed class ControlStores : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    public ControlStores(string connection)
    {
        Connection = connection;
        _services = new ServiceCollection().AddPostgresStorage(connection).BuildServiceProvider();
    }

    /// <summary>Begins source "shop" as silo-1 does: its table of orders, epoch 1, and partition 0 with generation 1.</summary>
    public async Task<TableSchema> BeginShop()
    {
        var table = await Schemas.Register("shop", SampleStates.Orders("id"), default);
        await Checkpoints.RaiseEpoch("shop", "silo-1", null, default);
        await Checkpoints.Claim("shop", 0, "silo-1", default);
        return table;
    }

    public string Connection { get; }

    public ICheckpointStore Checkpoints => _services.GetRequiredService<ICheckpointStore>();

    public ISchemaStore Schemas => _services.GetRequiredService<ISchemaStore>();

    public IStateQueries Queries => _services.GetRequiredService<IStateQueries>();

    public IReplayStore Replays => _services.GetRequiredService<IReplayStore>();

    public IBackfillStore Backfills => _services.GetRequiredService<IBackfillStore>();

    public IRetentionStore Retention => _services.GetRequiredService<IRetentionStore>();

    public IParkedStore Parked => _services.GetRequiredService<IParkedStore>();

    public IDeadLetterStore Letters => _services.GetRequiredService<IDeadLetterStore>();

    public IParkedQueries ParkedQueries => _services.GetRequiredService<IParkedQueries>();

    public ISinkStore Sinks => _services.GetRequiredService<ISinkStore>();

    public IAuditStore Audit => _services.GetRequiredService<IAuditStore>();

    public IJournalHistories Histories => _services.GetRequiredService<IJournalHistories>();

    public IJournalReader Journals => _services.GetRequiredService<IJournalReader>();

    public IConfirmedPositions Positions => _services.GetRequiredService<IConfirmedPositions>();

    /// <summary>What is durable of every partition of a source.</summary>
    internal Task<IReadOnlyList<PartitionProgressRow>> ReadProgress(string source, CancellationToken cancellation) =>
        ((PostgresCheckpointStore)Checkpoints).ReadProgress(source, cancellation);

    public Task<string?> Scalar(string sql) => PostgresServer.Scalar(Connection, sql);

    /// <summary>Waits until a session of this database waits for a lock.</summary>
    public Task SomebodyWaitsForALock() => SomeSession("wait_event_type = 'Lock'");

    /// <summary>Waits until a session of this database is so.</summary>
    public async Task SomeSession(string condition, int sessions = 1)
    {
        var deadline = DateTime.UtcNow.AddSeconds(20);
        while (await Scalar($"SELECT count(*) >= {sessions} FROM pg_stat_activity WHERE datname = current_database() AND {condition}") != "True")
        {
            if (DateTime.UtcNow > deadline)
                throw new TimeoutException($"No session has {condition}.");
            await Task.Delay(10);
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
