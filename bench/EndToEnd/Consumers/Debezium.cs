using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Consumers;

/// <summary>Debezium's PostgreSQL connector on a Kafka Connect worker. Its connector is stopped between turns, its JVM stays warm.</summary>
internal sealed class Debezium(DatabaseServer server, Broker broker, KafkaHome kafka, Topics topics, string heap, string folder, Table? snapshot = null)
    : TopicConsumer(topics, PrefixOf(snapshot))
{
    private string Connector => snapshot?.Name ?? "bench";

    private string Slot => $"{Connector}_debezium";

    private const string Type = "io.debezium.connector.postgresql.PostgresConnector";

    private ConnectWorker? _worker;
    private string _version = "";

    public override string Name => "Debezium";

    public override string Version => _version;

    public override IReadOnlyList<int> Pids => [Worker.Pid];

    private ConnectWorker Worker => _worker ?? throw new InvalidOperationException("Prepare comes first.");

    public override async Task Prepare(CancellationToken cancel)
    {
        await server.Execute($"CREATE PUBLICATION {Slot} FOR ALL TABLES", cancel);
        _worker = await ConnectWorker.Start(kafka, broker.Bootstrap, heap, folder, cancel, $"{Connector}-connect");
        _version = $"Debezium {await Worker.PluginVersion(Type, cancel)} on Kafka Connect {await Worker.KafkaVersion(cancel)} ({heap})";
        Started = DateTime.UtcNow;
        await Worker.Configure(Connector, Settings(null), cancel);
        await Worker.AwaitRunning(Connector, cancel);
        await server.AwaitSlot(Slot, active: true, cancel);
    }

    /// <summary>Sets <c>poll.interval.ms</c>; null is Debezium's default. The connector must be paused.</summary>
    public async Task SetPollInterval(int? milliseconds, CancellationToken cancel)
    {
        Worker.Thaw();
        await Worker.Configure(Connector, Settings(milliseconds), cancel);
    }

    public override async Task Pause(CancellationToken cancel)
    {
        await Worker.Stop(Connector, cancel);
        await server.AwaitSlot(Slot, active: false, cancel);
        Worker.Freeze();
    }

    public override async Task Resume(CancellationToken cancel)
    {
        Worker.Thaw();
        await Worker.Resume(Connector, cancel);
    }

    /// <summary>It stores no rows.</summary>
    public override Task Forget(CancellationToken cancel) => Task.CompletedTask;

    public override void EnsureAlive() => Worker.EnsureAlive();

    public override async ValueTask DisposeAsync()
    {
        if (_worker is not null)
            await _worker.DisposeAsync();
    }

    private static string PrefixOf(Table? snapshot) => snapshot is null ? "debezium" : $"debezium_{snapshot.Name}";

    private Dictionary<string, string> Settings(int? pollInterval)
    {
        var settings = new Dictionary<string, string>
        {
            ["connector.class"] = Type,
            ["tasks.max"] = "1",
            ["plugin.name"] = "pgoutput",
            ["database.hostname"] = "127.0.0.1",
            ["database.port"] = $"{server.Port}",
            ["database.user"] = "postgres",
            ["database.password"] = "none",
            ["database.dbname"] = DatabaseServer.SourceDatabase,
            ["topic.prefix"] = PrefixOf(snapshot),
            ["slot.name"] = Slot,
            ["publication.name"] = Slot,
            ["publication.autocreate.mode"] = "disabled",
            ["snapshot.mode"] = snapshot is null ? "no_data" : "initial",
            ["decimal.handling.mode"] = "string",
        };
        if (snapshot is not null)
            settings["table.include.list"] = $"public.{snapshot.Name}";
        if (pollInterval is { } interval)
            settings["poll.interval.ms"] = $"{interval}";
        return settings;
    }
}
