using Confluent.Kafka;

namespace CdcOrleans.Bench.EndToEnd.Servers;

/// <summary>One Kafka broker (KRaft) that stamps records with its own clock when it appends them.</summary>
internal sealed class Broker : IAsyncDisposable
{
    public const int Partitions = 4;

    private readonly ChildProcess _process;

    private Broker(ChildProcess process, string bootstrap)
    {
        _process = process;
        Bootstrap = bootstrap;
    }

    public string Bootstrap { get; }

    public int Pid => _process.Pid;

    public static async Task<Broker> Start(KafkaHome kafka, string folder, CancellationToken cancel)
    {
        Directory.CreateDirectory(folder);
        int port = DatabaseServer.FreePort(), controller = DatabaseServer.FreePort();
        var properties = Path.Combine(folder, "server.properties");
        await File.WriteAllTextAsync(properties,
            $"""
            process.roles=broker,controller
            node.id=0
            listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
            advertised.listeners=PLAINTEXT://127.0.0.1:{port}
            listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
            controller.listener.names=CONTROLLER
            controller.quorum.voters=0@127.0.0.1:{controller}
            log.dirs={Path.Combine(folder, "data")}
            num.partitions={Partitions}
            offsets.topic.num.partitions=8
            offsets.topic.replication.factor=1
            transaction.state.log.num.partitions=8
            transaction.state.log.replication.factor=1
            transaction.state.log.min.isr=1
            group.initial.rebalance.delay.ms=0
            log.message.timestamp.type=LogAppendTime
            log.segment.bytes=134217728
            log.segment.delete.delay.ms=1000
            connections.max.idle.ms=7200000
            log.cleaner.dedupe.buffer.size=16777216
            """, cancel);
        var cluster = "b" + Convert.ToBase64String(Guid.NewGuid().ToByteArray())[1..22].Replace('+', '-').Replace('/', '_');
        await ChildProcess.Run("The broker's storage tool", Path.Combine(folder, "format.log"),
            kafka.Command(folder, "-Xmx256m", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties), cancel);
        var process = ChildProcess.Start("The broker", Path.Combine(folder, "broker.log"),
            kafka.Command(folder, "-Xms256m -Xmx768m", "kafka.Kafka", properties));
        var broker = new Broker(process, $"127.0.0.1:{port}");
        try
        {
            await broker.AwaitReady(cancel);
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }

        return broker;
    }

    public void EnsureAlive() => _process.EnsureAlive();

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private async Task AwaitReady(CancellationToken cancel)
    {
        using var admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = Bootstrap })
            .SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ;)
        {
            _process.EnsureAlive();
            try
            {
                if (admin.GetMetadata(TimeSpan.FromSeconds(1)).Brokers.Count > 0)
                    return;
            }
            catch (KafkaException) when (DateTime.UtcNow < deadline)
            {
                // It is still starting.
            }

            if (DateTime.UtcNow > deadline)
                throw _process.Failure("did not answer within 60 s");
            await Task.Delay(200, cancel);
        }
    }
}
