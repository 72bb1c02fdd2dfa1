using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Confluent.Kafka;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>A broker that goes away for half a minute.</summary>
public sealed class KafkaOutageTests(PostgresFixture postgres)
{
    private const string Schema = """
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, filler text NOT NULL);
        INSERT INTO items SELECT i, 0, repeat('x', 400) FROM generate_series(1, 1000) i;
        CREATE PROCEDURE work(rounds int) LANGUAGE plpgsql AS $$
        BEGIN
          FOR i IN 1..rounds LOOP
            UPDATE items SET n = n + 1 WHERE id = 1 + i % 1000;
            COMMIT;
          END LOOP;
        END $$;
        """;

    [Theory]
    [InlineData("hold")]
    [InlineData("spill")]
    public async Task Kafka_unreachable_for_half_a_minute_nothing_is_lost_and_memory_stays_bounded(string outage)
    {
        await using var broker = await KafkaBroker.Start();
        TestContext.Current.SendDiagnosticMessage($"Kafka: {broker.Kind}");
        Assert.SkipUnless(broker.IsReal && broker.IsOurs, "Needs a real broker that the test may stop: name its scripts' folder in CDC_TEST_SERVERS.");
        await using var pipeline = await Pipeline.Create(
            postgres.Server, Schema, sinks: $"out: {{ type: kafka, bootstrap: \"{broker.Bootstrap}\", delivery: {{ outage: {outage} }} }}", source: "window: { changes: 5000, bytes: 16MB }");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "CALL work(2000)");
        await pipeline.Drained(silo);
        var before = silo.WorkingSet;

        await broker.Stop("KILL");
        var away = Task.Delay(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await PostgresServer.Execute(pipeline.Database, "CALL work(60000)");
        if (outage == "hold")
        {
            await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() == "holding", "to hold");
            var detail = (await silo.Source("shop")).GetProperty("detail").GetString();
            Assert.Contains("out", detail, StringComparison.Ordinal);
            await away;
            Assert.InRange(Pipeline.Reader(await silo.Source("shop")).GetProperty("window").GetProperty("changes").GetInt64(), 1, 5000);
        }
        else
        {
            // Everything is parked and confirmed, so the server needs to keep no log.
            await pipeline.Drained(silo, TimeSpan.FromMinutes(2));
            await away;
            var sink = (await silo.Source("shop")).GetProperty("sinks")[0];
            Assert.InRange(sink.GetProperty("parked").GetInt64(), 1, 60_000);
            Assert.NotEqual(0, sink.GetProperty("openCircuits").GetArrayLength());
        }

        Assert.True(silo.WorkingSet < before + (150L << 20), $"The working set rose from {before >> 20} to {silo.WorkingSet >> 20} MiB.");

        await broker.StartAgain();
        await pipeline.Drained(silo, TimeSpan.FromMinutes(2));
        await silo.Until(async () => (await silo.Source("shop")).GetProperty("sinks")[0].GetProperty("parked").GetInt64() == 0, "to deliver what was parked");
        var code = await silo.Stop();
        Assert.True(code == 0, $"It ended with code {code}.\n{silo.Output}");

        var events = Consume(broker.Bootstrap, "shop.public.items");
        foreach (var entity in events.GroupBy(e => e.Key))
            Assert.Equal(entity.Select(e => e.Version).Order(), entity.Select(e => e.Version));
        Assert.Equal(62_000, events.Select(e => e.Version).Distinct().Count());
    }

    private static List<(string Key, ChangeVersion Version)> Consume(string bootstrap, string topic)
    {
        using var consumer = new ConsumerBuilder<byte[], byte[]>(new ConsumerConfig
        {
            BootstrapServers = bootstrap, GroupId = Guid.NewGuid().ToString(), AutoOffsetReset = AutoOffsetReset.Earliest, EnablePartitionEof = true,
        }).Build();
        consumer.Subscribe(topic);
        var events = new List<(string, ChangeVersion)>();
        var ended = new HashSet<int>();
        var partitions = int.MaxValue;
        while (ended.Count < partitions)
        {
            var result = consumer.Consume(TimeSpan.FromSeconds(30)) ?? throw new TimeoutException("The topic's end was not reached.");
            partitions = Math.Max(1, consumer.Assignment.Count);
            if (result.IsPartitionEOF)
                ended.Add(result.Partition.Value);
            else
                events.Add((Encoding.UTF8.GetString(result.Message.Key), ChangeVersion.Parse(Encoding.UTF8.GetString(result.Message.Headers.GetLastBytes("cdc.version")))));
        }

        return events;
    }
}
