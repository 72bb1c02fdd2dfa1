using System.Text;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Kafka;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Integration.Sinks;

public sealed class BrokerFixture : IAsyncLifetime
{
    public KafkaBroker Broker { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Broker = await KafkaBroker.Start();

    public ValueTask DisposeAsync() => Broker.DisposeAsync();
}

public sealed class KafkaSinkTests : IClassFixture<BrokerFixture>, IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly KafkaBroker _broker;
    private readonly List<KafkaSink> _sinks = [];

    public KafkaSinkTests(BrokerFixture fixture, ITestOutputHelper output)
    {
        _broker = fixture.Broker;
        output.WriteLine($"Broker: {_broker.Kind}");
    }

    [Fact]
    public async Task Events_for_which_there_is_no_memory_are_sent_again_and_what_cannot_be_sent_at_all_is_refused_by_itself()
    {
        var topic = await KafkaTopic.Create(_broker, partitions: 1);
        var sink = Open();
        var events = Enumerable.Range(0, 4).Select(i => TestDelivery.Event(topic.Name, "k", $"{i}")).ToArray();
        events[1] = WithHeaders(events[1], new OutOfMemoryException(), times: 3);
        events[2] = WithHeaders(events[2], new InvalidOperationException(), times: int.MaxValue);
        await Deliver(sink, events);
        Assert.Equal(["0", "1", "3"], topic.Read(3).Select(r => KafkaTopic.Text(r.Message.Value)));
        Assert.Equal([null, null, "The client failed to accept the event: InvalidOperationException.", null], events.Select(e => e.Failure?.Error));
    }

    [Fact]
    public async Task Keys_keep_their_order_and_land_where_javas_clients_put_them()
    {
        var topic = await KafkaTopic.Create(_broker, partitions: 7);
        var sink = Open();

        // Hashes of Java's murmur2, from Kafka's own tests.
        (string Key, int Hash)[] keys = [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)];
        var chains = keys.Select(async k =>
        {
            for (var i = 0; i < 100; i++)
                await Deliver(sink, TestDelivery.Event(topic.Name, k.Key, $"{i}"));
        });
        await Task.WhenAll(chains);

        var records = topic.Read(400);
        Assert.Equal(400, records.Count);
        foreach (var (key, hash) in keys)
        {
            var ofKey = records.Where(r => KafkaTopic.Text(r.Message.Key) == key).ToList();
            Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), ofKey.Select(r => KafkaTopic.Text(r.Message.Value)));
            Assert.All(ofKey, r => Assert.Equal((hash & 0x7fffffff) % topic.Partitions, r.Partition.Value));
        }

        Assert.Equal(400, sink.Status.Delivered);
        Assert.Equal(0, sink.Status.Waiting);
    }

    [Fact]
    public async Task Event_carries_its_headers_and_a_tombstone_no_value()
    {
        var topic = await KafkaTopic.Create(_broker, partitions: 1);

        await Deliver(Open(), TestDelivery.Event(topic.Name, "1", "{}", 3, new KeyValuePair<string, byte[]>("own", "x"u8.ToArray())), TestDelivery.Event(topic.Name, "1", null, 3));

        var records = topic.Read(2);
        Assert.Equal(["{}", "null"], records.Select(r => KafkaTopic.Text(r.Message.Value)));
        Assert.Equal(
            ["cdc.id=shop:16/B374D848:3", "cdc.version=16/B374D848/3", "cdc.origin=stream", "cdc.schema=3", "own=x"],
            records[0].Message.Headers.Select(h => $"{h.Key}={Encoding.UTF8.GetString(h.GetValueBytes())}"));
        Assert.Equal(4, records[1].Message.Headers.Count);
    }

    [Fact]
    public async Task Event_larger_than_the_client_takes_is_refused_and_its_neighbours_go_through()
    {
        var topic = await KafkaTopic.Create(_broker, partitions: 1);
        var sink = Open();
        var large = TestDelivery.Event(topic.Name, "1", new string('x', 1_100_000));

        await Deliver(sink, TestDelivery.Event(topic.Name, "1", "before"), large, TestDelivery.Event(topic.Name, "1", "after"));

        Assert.Contains("max.message.bytes", large.Failure?.Error, StringComparison.Ordinal);
        Assert.Equal(["before", "after"], topic.Read(2).Select(r => KafkaTopic.Text(r.Message.Value)));
        Assert.Equal(1, sink.Status.Refused);
        Assert.Equal(2, sink.Status.Delivered);
    }

    [Fact]
    public async Task Event_larger_than_the_topic_takes_is_refused_and_its_whole_batch_goes_through()
    {
        Assert.SkipUnless(_broker.IsReal, $"Needs a real broker, which refuses whole batches; this is {_broker.Kind}.");
        var topic = await KafkaTopic.Create(_broker, partitions: 1, ("max.message.bytes", "20000"));
        var sink = Open("linger.ms", "200");
        var small = Enumerable.Range(0, 50).Select(i => new TestDelivery(TestDelivery.Event(topic.Name, $"{i}", new string('s', 100)))).ToList();
        var large = new TestDelivery(TestDelivery.Event(topic.Name, "large", new string('x', 50_000)));

        small[..25].ForEach(sink.Deliver);
        sink.Deliver(large);
        small[25..].ForEach(sink.Deliver);
        await Task.WhenAll([large.Completed, .. small.Select(d => d.Completed)]).WaitAsync(Patience);

        Assert.NotNull(large.Events[0].Failure);
        Assert.All(small, d => Assert.Null(d.Events[0].Failure));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}").Order(), topic.Read(50).Select(r => KafkaTopic.Text(r.Message.Key)).Order());
    }

    [Fact]
    public async Task Full_queue_of_the_client_holds_deliveries_without_loss()
    {
        var topic = await KafkaTopic.Create(_broker);
        var sink = Open("queue.buffering.max.messages", "10");
        var deliveries = Enumerable.Range(0, 2000).Select(i => new TestDelivery(TestDelivery.Event(topic.Name, $"{i}", "v"))).ToList();

        deliveries.ForEach(sink.Deliver);
        await Task.WhenAll(deliveries.Select(d => d.Completed)).WaitAsync(Patience);

        Assert.Equal(2000, topic.Read(2000).Select(r => KafkaTopic.Text(r.Message.Key)).ToHashSet().Count);
        Assert.True(sink.Status is { Healthy: true, Waiting: 0, Delivered: 2000 });
    }

    [Fact]
    public async Task After_a_fatal_error_a_new_producer_delivers_the_rest()
    {
        var topic = await KafkaTopic.Create(_broker);
        var sink = Open("linger.ms", "500");
        var deliveries = Enumerable.Range(0, 500).Select(i => new TestDelivery(TestDelivery.Event(topic.Name, $"{i}", "v"))).ToList();

        deliveries.ForEach(sink.Deliver);
        Librdkafka.Break(sink.Handle, Confluent.Kafka.ErrorCode.OutOfOrderSequenceNumber);
        await Task.WhenAll(deliveries.Select(d => d.Completed)).WaitAsync(Patience);

        Assert.Equal(500, topic.Read(500).Select(r => KafkaTopic.Text(r.Message.Key)).ToHashSet().Count);
        Assert.True(sink.Status.Healthy);
        Assert.Contains("fatal", sink.Status.LastError, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Deliveries_wait_while_nobody_answers_and_the_status_says_so()
    {
        var sink = Open(new KafkaSinkConfiguration { Name = "events", Bootstrap = $"127.0.0.1:{PostgresServer.FreePort()}" });
        var delivery = new TestDelivery(TestDelivery.Event("any", "1", "v"));
        sink.Deliver(delivery);

        await Until(() => !sink.Status.Healthy);

        Assert.NotNull(sink.Status.LastError);
        Assert.Equal(1, sink.Status.Waiting);
        Assert.False(delivery.Completed.IsCompleted);
    }

    [Fact]
    public async Task Unknown_topic_is_created_where_the_sink_may()
    {
        Assert.SkipUnless(_broker.IsOurs, $"Needs a broker of its own without auto-creation; this is {_broker.Kind}.");
        await using var broker = await KafkaBroker.Start("auto.create.topics.enable=false");
        var topic = new KafkaTopic(broker, $"sinks.{Guid.NewGuid():N}", partitions: 3);
        var patient = Open(new KafkaSinkConfiguration { Name = "patient", Bootstrap = broker.Bootstrap, Options = Options("topic.metadata.propagation.max.ms", "500") });
        var creator = Open(new KafkaSinkConfiguration
        {
            Name = "creator", Bootstrap = broker.Bootstrap, Options = Options("topic.metadata.propagation.max.ms", "500"),
            CreateTopics = new TopicCreation { Partitions = 3, Replication = 1, Compact = true },
        });

        var missing = TestDelivery.Event(topic.Name, "1", "first");
        await Deliver(patient, missing);
        Assert.True(missing.Failure is { IsFinal: false, Scope: FailureScope.Destination });
        Assert.Contains("create_topics", missing.Failure.Error, StringComparison.Ordinal);

        // The clients may know of the new topic a little later.
        await DeliverAtLast(creator, () => TestDelivery.Event(topic.Name, "2", "second"));
        await DeliverAtLast(patient, () => TestDelivery.Event(topic.Name, "1", "first"));

        Assert.Equal(["first", "second"], topic.Read(2).Select(r => KafkaTopic.Text(r.Message.Value)).Order());
        Assert.Equal((3, "compact"), await topic.Shape());
    }

    [Fact]
    public async Task A_template_names_the_topics_of_tables_and_of_nothing_else()
    {
        var name = $"sinks.{Guid.NewGuid():N}";
        var sink = Open(new KafkaSinkConfiguration { Name = "named", Bootstrap = _broker.Bootstrap, Topic = name + ".{table}-of-{schema}.{source}" });
        var (row, message) = (Of("public.Orders Ö", "row"), Of("message", "message"));
        await DeliverAtLast(sink, () => Of("public.Orders Ö", "row"));
        await DeliverAtLast(sink, () => Of("message", "message"));
        Assert.Equal([$"{name}.Orders__-of-public.shop", $"{name}.own"], new[] { row, message }.Select(((ISink)sink).DestinationOf));
        Assert.Equal("row", KafkaTopic.Text(Assert.Single(new KafkaTopic(_broker, $"{name}.Orders__-of-public.shop").Read(1)).Message.Value));
        Assert.Equal("message", KafkaTopic.Text(Assert.Single(new KafkaTopic(_broker, $"{name}.own").Read(1)).Message.Value));

        SinkEvent Of(string table, string value) => new()
        {
            Topic = $"{name}.own", Entity = new EntityKey(table, "1"), Key = "1"u8.ToArray(), Value = Encoding.UTF8.GetBytes(value), Source = "shop", Version = default,
            Origin = EventOrigin.Stream, SchemaVersion = 1,
        };
    }

    [Fact]
    public async Task Broker_that_stops_and_comes_back_gets_everything_once_and_in_order()
    {
        Assert.SkipUnless(_broker.IsOurs, $"Needs a broker of its own to stop; this is {_broker.Kind}.");
        await using var broker = await KafkaBroker.Start();
        var topic = await KafkaTopic.Create(broker);
        var sink = Open(new KafkaSinkConfiguration { Name = "events", Bootstrap = broker.Bootstrap });
        await Deliver(sink, TestDelivery.Event(topic.Name, "warm", "0"));

        const int keys = 20;
        const int perKey = 100;
        var sent = 0;
        var chains = Enumerable.Range(0, keys).Select(async key =>
        {
            for (var i = 0; i < perKey; i++)
            {
                var delivery = new TestDelivery(TestDelivery.Event(topic.Name, $"k{key}", $"{i}.a"), TestDelivery.Event(topic.Name, $"k{key}", $"{i}.b"));
                sink.Deliver(delivery);
                Interlocked.Increment(ref sent);
                await delivery.Completed.WaitAsync(Patience);
            }
        }).ToList();
        await Until(() => Volatile.Read(ref sent) > keys * perKey / 4);
        await broker.Stop("KILL");
        await Until(() => sink.Status is { Healthy: false, Waiting: > 0 });
        await broker.StartAgain();
        await Task.WhenAll(chains);

        var records = topic.Read((keys * perKey * 2) + 1);
        Assert.Equal((keys * perKey * 2) + 1, records.Count);
        var expected = Enumerable.Range(0, perKey).SelectMany(i => new[] { $"{i}.a", $"{i}.b" }).ToList();
        foreach (var key in Enumerable.Range(0, keys))
            Assert.Equal(expected, records.Where(r => KafkaTopic.Text(r.Message.Key) == $"k{key}").Select(r => KafkaTopic.Text(r.Message.Value)));
        Assert.True(sink.Status.Healthy);
    }

    [Fact]
    public async Task Batch_that_the_client_only_assumes_to_be_written_is_sent_again()
    {
        // A broker accepts any first batch of a producer in a new partition. Here the first of two batches in flight is refused, because the
        // partition is not ready yet, and the second one is accepted. Then the client takes the first for written as well.
        await using var broker = KafkaBroker.Mock();
        var topic = await KafkaTopic.Create(broker);
        var sink = Open(new KafkaSinkConfiguration { Name = "events", Bootstrap = broker.Bootstrap, Options = Options("batch.num.messages", "1", "linger.ms", "0") });
        Librdkafka.AnswerLate(broker.MockHandle, TimeSpan.FromMilliseconds(200));
        Librdkafka.RefuseBatches(broker.MockHandle, Confluent.Kafka.ErrorCode.NotLeaderForPartition);

        await Task.WhenAll(
            Deliver(sink, TestDelivery.Event(topic.Name, null, "first")),
            Deliver(sink, TestDelivery.Event(topic.Name, null, "second")));

        Assert.Equal(["second", "first"], topic.Read(2).Select(r => KafkaTopic.Text(r.Message.Value)));
        Assert.Equal(2, sink.Status.Delivered);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sink in _sinks)
            await sink.DisposeAsync();
    }

    private KafkaSink Open(params string[] options) =>
        Open(new KafkaSinkConfiguration { Name = "events", Bootstrap = _broker.Bootstrap, Options = Options(options) });

    private KafkaSink Open(KafkaSinkConfiguration configuration)
    {
        var sink = new KafkaSink(configuration, TimeProvider.System, NullLogger.Instance);
        _sinks.Add(sink);
        return sink;
    }

    private static Dictionary<string, string> Options(params string[] options) => options.Chunk(2).ToDictionary(o => o[0], o => o[1]);

    private static async Task Deliver(KafkaSink sink, params SinkEvent[] events)
    {
        var delivery = new TestDelivery(events);
        sink.Deliver(delivery);
        await delivery.Completed.WaitAsync(Patience);
    }

    // As whoever sends an event: tries again what failed for now.
    private static async Task DeliverAtLast(KafkaSink sink, Func<SinkEvent> make)
    {
        var deadline = DateTime.UtcNow + Patience;
        for (var made = make(); ; made = make())
        {
            await Deliver(sink, made);
            if (made.Failure is null)
                return;
            Assert.True(DateTime.UtcNow < deadline, made.Failure.Error);
            await Task.Delay(100);
        }
    }

    private static async Task Until(Func<bool> condition)
    {
        var deadline = DateTime.UtcNow + Patience;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, "The sink did not get there in time.");
            await Task.Delay(10);
        }
    }

    private static SinkEvent WithHeaders(SinkEvent made, Exception failure, int times) => new()
    {
        Topic = made.Topic, Key = made.Key, Value = made.Value, Source = made.Source, Version = made.Version, Origin = made.Origin,
        SchemaVersion = made.SchemaVersion, Headers = new FailingHeaders(failure, times),
    };

    /// <summary>Headers that cannot be read some times.</summary>
    private sealed class FailingHeaders(Exception failure, int times) : IReadOnlyList<KeyValuePair<string, byte[]>>
    {
        private int _left = times;

        public int Count => 0;

        public KeyValuePair<string, byte[]> this[int index] => throw new ArgumentOutOfRangeException(nameof(index));

        public IEnumerator<KeyValuePair<string, byte[]>> GetEnumerator() =>
            _left-- > 0 ? throw failure : Enumerable.Empty<KeyValuePair<string, byte[]>>().GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
