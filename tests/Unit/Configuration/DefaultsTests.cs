using CdcOrleans.Configuration;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

public sealed class DefaultsTests
{
    private const string Documented = """
        cluster:
          id: shop                          # silos with one id and one control database form a cluster
        control:
          connection: Host=127.0.0.1;Database=cdc;Username=cdc
        sources:
          theworldshop:                     # also the topic prefix
            postgres:
              connection: Host=127.0.0.1;Database=theworldshop;Username=cdc
              slot: cdc_theworldshop        # created if missing
              publication: cdc_theworldshop # created if missing, for the tables below
            tables: ["public.*"]            # or a list; a table may be a mapping with its own options
            backfill: never                 # initial | never | when_needed
        sinks:
          events: { type: kafka, bootstrap: "${KAFKA:-127.0.0.1:9092}" }
          files: { type: file, directory: ./out }       # ./out/<topic>.ndjson, one {"key":…,"value":…,"headers":{…}} a line
        routes:
          - { from: "theworldshop.public.*", to: [events, files], format: debezium }
        gateway:
          listen: http://127.0.0.1:8080
        """;

    [Fact]
    public void A_kafka_sink_takes_topics_and_security()
    {
        const string kafka = "{ type: kafka, bootstrap: \"127.0.0.1:9092\" }";
        var plain = Assert.IsType<KafkaSinkConfiguration>(Reader.ReadWith(kafka, kafka).Sinks["events"]);
        Assert.True(plain is { Topic: null, CreateTopics: null, Options.Count: 0 });

        var sink = Assert.IsType<KafkaSinkConfiguration>(Reader.ReadWith(
            kafka,
            "{ type: kafka, bootstrap: 'k:1', topic: 'cdc.{table}', create_topics: { partitions: 6, replication: 3, compact: true }, tls: { verify: ca }, "
            + "sasl: { mechanism: SCRAM-SHA-512, username: writer, password: \"${PASSWORD}\" } }",
            ("PASSWORD", "secret")).Sinks["events"]);
        Assert.Equal(("cdc.{table}", new TopicCreation { Partitions = 6, Replication = 3, Compact = true }), (sink.Topic, sink.CreateTopics));
        Assert.Equal(
            [
                ("enable.ssl.certificate.verification", "true"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.password", "secret"), ("sasl.username", "writer"),
                ("security.protocol", "SASL_SSL"), ("ssl.endpoint.identification.algorithm", "none"),
            ],
            sink.Options.OrderBy(o => o.Key, StringComparer.Ordinal).Select(o => (o.Key, o.Value)));
        Assert.DoesNotContain("secret", sink.ToString(), StringComparison.Ordinal);

        sink = Assert.IsType<KafkaSinkConfiguration>(Reader.ReadWith(kafka, "{ type: kafka, bootstrap: 'k:1', create_topics: true, tls: true }").Sinks["events"]);
        Assert.Equal(new TopicCreation(), sink.CreateTopics);
        Assert.Equal(("SSL", "https"), (sink.Options["security.protocol"], sink.Options["ssl.endpoint.identification.algorithm"]));
    }

    [Fact]
    public void A_webhook_has_defaults_and_takes_secrets_from_the_environment()
    {
        const string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const string kafka = "{ type: kafka, bootstrap: \"127.0.0.1:9092\" }";
        var hook = Assert.IsType<WebhookSinkConfiguration>(
            Reader.ReadWith(kafka, "{ type: webhook, url: \"https://h/{table}\", secret: [\"${NEW}\", \"${OLD}\"] }", ("NEW", secret), ("OLD", secret)).Sinks["events"]);
        Assert.Equal([secret, secret], hook.Secrets);
        Assert.True(hook is { Url: "https://h/{table}", Batch: null, Concurrency: 8, AllowPrivate: false, RetryStatuses: [], Timeout.TotalSeconds: 10, ConnectTimeout.TotalSeconds: 5 });

        hook = Assert.IsType<WebhookSinkConfiguration>(Reader.ReadWith(kafka, $"{{ type: webhook, url: http://localhost:1/, secret: {secret}, batch: 500, timeout: 30s, connect_timeout: 1s, concurrency: 2, private_addresses: allow, retry_statuses: [401, 404] }}").Sinks["events"]);
        Assert.True(hook is { Batch: { Events: 500, Bytes: 1 << 20, Linger.TotalMilliseconds: 10 }, Concurrency: 2, AllowPrivate: true, RetryStatuses: [401, 404], Timeout.TotalSeconds: 30, ConnectTimeout.TotalSeconds: 1 });
        hook = Assert.IsType<WebhookSinkConfiguration>(Reader.ReadWith(kafka, $"{{ type: webhook, url: https://h, secret: {secret}, batch: {{ events: 1, linger: 0 }} }}").Sinks["events"]);
        Assert.Equal(new WebhookBatch { Events = 1, Linger = TimeSpan.Zero }, hook.Batch);
        Assert.Null(Assert.IsType<WebhookSinkConfiguration>(Reader.ReadWith(kafka, $"{{ type: webhook, url: https://h, secret: {secret}, batch: 1 }}").Sinks["events"]).Batch);
    }

    [Fact]
    public void A_process_without_sinks_needs_neither_their_settings_nor_their_secrets()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Reader.Fine.Replace("bootstrap: \"127.0.0.1:9092\"", "bootstrap: \"${ABSENT_SECRET}\"", StringComparison.Ordinal));
            Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(file, SinkTypes.All));
            var read = ConfigurationFile.Load(file, sinkTypes: null);
            Assert.Empty(read.Sinks);
            Assert.Equal(["events"], Assert.Single(read.Routes).To);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void The_documented_file_is_read_whole()
    {
        var read = Reader.Read(Documented, out var warnings);

        Assert.Empty(warnings);
        Assert.Equal("shop", read.Cluster.Id);
        Assert.Equal("Host=127.0.0.1;Database=cdc;Username=cdc", read.Control.Connection);
        var source = Assert.Single(read.Sources).Value;
        Assert.Equal("theworldshop", source.Name);
        Assert.Equal("Host=127.0.0.1;Database=theworldshop;Username=cdc", source.Connection);
        Assert.Equal("cdc_theworldshop", source.Slot);
        Assert.Equal("cdc_theworldshop", source.Publication);
        Assert.Equal([new TableSelection { Pattern = "public.*" }], source.Tables);
        Assert.Equal(BackfillOptions.Never, source.Backfill);
        Assert.Equal(["events", "files"], read.Sinks.Keys);
        Assert.Equal("127.0.0.1:9092", Assert.IsType<KafkaSinkConfiguration>(read.Sinks["events"]).Bootstrap);
        Assert.Equal(Path.Combine(Environment.CurrentDirectory, "out"), Assert.IsType<FileSinkConfiguration>(read.Sinks["files"]).Directory);
        var route = Assert.Single(read.Routes);
        Assert.Equal("theworldshop.public.*", route.From);
        Assert.Equal(["events", "files"], route.To);
        Assert.Equal("debezium", route.Format);
        Assert.Equal(new Uri("http://127.0.0.1:8080"), read.Gateway.Listen);
    }

    [Fact]
    public void What_a_file_leaves_out_has_the_documented_default()
    {
        var read = Reader.Read(Reader.Fine);

        Assert.Equal(new ClusterConfiguration { Id = "shop" }, read.Cluster);
        Assert.Equal(("127.0.0.1", 11111, 30000, 64L << 20), (read.Cluster.Address, read.Cluster.SiloPort, read.Cluster.ClientPort, read.Cluster.EntityCacheBytes));
        Assert.Equal((TimeSpan.FromMilliseconds(200), 8L << 20), (read.Control.CheckpointInterval, read.Control.CheckpointBytes));
        Assert.Equal((TimeSpan.FromDays(7), TimeSpan.FromDays(30), TimeSpan.FromDays(90)), (read.Control.DeleteMarkerRetention, read.Control.DeadLetterRetention, read.Control.AuditRetention));
        var source = read.Sources["shop"];
        Assert.Equal(("cdc_shop", "cdc_shop", BackfillOptions.Never), (source.Slot, source.Publication, source.Backfill));
        Assert.Equal((32, 15_000, 32L << 20, TimeSpan.FromSeconds(10)), (source.Partitions, source.WindowChanges, source.WindowBytes, source.HeartbeatInterval));
        Assert.Null(source.MemoryBytes);
        Assert.Empty(Assert.IsType<KafkaSinkConfiguration>(read.Sinks["events"]).Options);
        Assert.Equal("debezium", read.Routes[0].Format);
        Assert.Equal(new Uri("http://127.0.0.1:8080"), read.Gateway.Listen);
    }

    [Fact]
    public void Every_key_is_taken()
    {
        var read = Reader.Read("""
            cluster: { id: a-1, address: 10.0.0.5, silo_port: 0, client_port: 0, entity_cache: 1GB }
            control:
              connection: Host=db;Database=cdc;Password="${CDC_PASSWORD}"
              checkpoint: { interval: 1s, bytes: 512KB }
              retention: { delete_markers: 36h, dead_letters: 0, audit: 400d }
            sources:
              Shop-2:
                postgres: { connection: "Server=db;DB=shop", slot: s_2, publication: My Publication }
                tables:
                  - public.orders
                  - { table: public.audit*, entities: off }
                  - { table: public.prices, entities: version }
                  - table: "other.*"
                    entities: row
                backfill: never
                partitions: 4096
                window: { changes: 1000, bytes: 1048576 }
                memory: 2MB
                heartbeat: 0
            sinks:
              k:
                type: kafka
                bootstrap: ["a:1", "[::1]:65535"]
                options: { compression.type: lz4, linger.ms: 5, sasl.password: "$${x}" }
              f: { type: file, directory: /var/lib/out }
            routes:
              - { from: "Shop-2.public.*", to: k }
              - from: Shop-2.other.*
                to: [k, f]
                format: debezium
            gateway: { listen: "https://[::1]:8443/" }
            """, ("CDC_PASSWORD", "se;cret"));

        Assert.Equal(new ClusterConfiguration { Id = "a-1", Address = "10.0.0.5", SiloPort = 0, ClientPort = 0, EntityCacheBytes = 1L << 30 }, read.Cluster);
        Assert.Equal(
            new ControlConfiguration
            {
                Connection = "Host=db;Database=cdc;Password=\"se;cret\"", CheckpointInterval = TimeSpan.FromSeconds(1), CheckpointBytes = 512 << 10,
                DeleteMarkerRetention = TimeSpan.FromHours(36), DeadLetterRetention = TimeSpan.Zero, AuditRetention = TimeSpan.FromDays(400),
            },
            read.Control);
        var source = read.Sources["Shop-2"];
        Assert.Equal(("s_2", "My Publication", 4096, 1000, 1L << 20, TimeSpan.Zero),
            (source.Slot, source.Publication, source.Partitions, source.WindowChanges, source.WindowBytes, source.HeartbeatInterval));
        Assert.Equal(
            [("public.orders", EntityMode.Row), ("public.audit*", EntityMode.Off), ("public.prices", EntityMode.Version), ("other.*", EntityMode.Row)],
            source.Tables.Select(t => (t.Pattern, t.Entities)));
        Assert.Equal(2 << 20, source.MemoryBytes);
        var kafka = Assert.IsType<KafkaSinkConfiguration>(read.Sinks["k"]);
        Assert.Equal("a:1,[::1]:65535", kafka.Bootstrap);
        Assert.Equal([("compression.type", "lz4"), ("linger.ms", "5"), ("sasl.password", "${x}")], kafka.Options.Select(o => (o.Key, o.Value)));
        Assert.Equal("/var/lib/out", Assert.IsType<FileSinkConfiguration>(read.Sinks["f"]).Directory);
        Assert.Equal([("Shop-2.public.*", "k"), ("Shop-2.other.*", "k f")], read.Routes.Select(r => (r.From, string.Join(' ', r.To))));
        Assert.Equal(new Uri("https://[::1]:8443"), read.Gateway.Listen);
    }

    [Fact]
    public void A_key_without_a_value_counts_as_left_out()
    {
        var read = Reader.Read(Reader.Fine + "\ngateway:\n");
        Assert.Equal(new Uri("http://127.0.0.1:8080"), read.Gateway.Listen);
        Assert.Equal("cdc.yaml:1:1: cluster.id: is missing; silos with one id and one control database form a cluster; write for example 'id: shop'",
            Reader.RefusedWith("{ id: shop }", "{ id: }"));
    }

    [Fact]
    public void Events_are_chosen_per_source_and_per_table()
    {
        var read = Reader.ReadWith("tables: [\"public.*\"]", """
            tables: ["public.*", { table: public.audit, events: { skip: [u, d] } }, { table: public.log, events: { tombstones: true } }]
                events: { skip: none, tombstones: false, messages: [outbox, "audit.*"], transactions: true, heartbeats: true }
            """).Sources["shop"];
        Assert.Equal(new EventOptions { Skip = SkippedOperations.None, Tombstones = false }, read.Events);
        Assert.Equal(["outbox", "audit.*"], read.Messages);
        Assert.True(read.Transactions && read.HeartbeatEvents);
        Assert.Null(read.Tables[0].Events);
        Assert.Equal(new EventOptions { Skip = SkippedOperations.Update | SkippedOperations.Delete, Tombstones = false }, read.Tables[1].Events);
        Assert.Equal(new EventOptions { Skip = SkippedOperations.None, Tombstones = true }, read.Tables[2].Events);
    }

    [Fact]
    public void By_default_truncations_make_no_events_and_all_messages_do()
    {
        var read = Reader.Read(Reader.Fine).Sources["shop"];
        Assert.Equal(EventOptions.Default, read.Events);
        Assert.Equal((SkippedOperations.Truncate, true), (read.Events.Skip, read.Events.Tombstones));
        Assert.Equal(["*"], read.Messages);
        Assert.False(read.Transactions || read.HeartbeatEvents);
        Assert.True(read.ViaPartitionRoot);
        Assert.Empty(Reader.ReadWith("tables:", "events: { messages: none }\n    tables:").Sources["shop"].Messages);
        Assert.False(Reader.ReadWith("Database=shop }", "Database=shop, publish_via_partition_root: false }").Sources["shop"].ViaPartitionRoot);
    }

    [Fact]
    public void What_is_asked_for_besides_tables_needs_a_route()
    {
        var narrow = Reader.Fine.Replace("\"shop.*\"", "\"shop.public.*\"", StringComparison.Ordinal);
        Reader.Read(narrow);
        Assert.Equal(
            [
                "cdc.yaml:6:25: sources.shop.events.messages: no route selects these events; add one such as - { from: \"shop.message\", to: … }, or leave this out",
                "cdc.yaml:6:47: sources.shop.events.transactions: no route selects these events; add one such as - { from: \"shop.transaction\", to: … }, or leave this out",
            ],
            Reader.Refused(narrow.Replace("    tables:", "    events: { messages: outbox, transactions: true }\n    tables:", StringComparison.Ordinal)));
        Reader.Read(narrow.Replace("    tables:", "    events: { messages: outbox }\n    tables:", StringComparison.Ordinal) + "\n  - { from: shop.message, to: events }");
    }

    [Fact]
    public void A_sink_that_no_route_uses_is_a_warning()
    {
        Reader.Read(Reader.Fine.Replace("routes:", "  spare: { type: file, directory: out }\nroutes:", StringComparison.Ordinal), out var warnings);
        Assert.Equal("cdc.yaml:9:3: sinks.spare: no route uses this sink; remove it or route to it", Assert.Single(warnings).ToString());
    }

    [Fact]
    public void A_directory_starts_from_the_folder_of_the_file()
    {
        var folder = Directory.CreateTempSubdirectory("cdc-config-");
        try
        {
            var file = Path.Combine(folder.FullName, "cdc.yaml");
            File.WriteAllText(file, Documented);
            var read = ConfigurationFile.Load(file, SinkTypes.All);
            Assert.Equal(Path.Combine(folder.FullName, "out"), Assert.IsType<FileSinkConfiguration>(read.Sinks["files"]).Directory);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_variables_of_the_process_are_used_unless_others_are_given()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Reader.Fine.Replace("{ id: shop }", "{ id: \"${CDC_UNIT_TEST_ID}\" }", StringComparison.Ordinal));
            Environment.SetEnvironmentVariable("CDC_UNIT_TEST_ID", "from-process");
            Assert.Equal("from-process", ConfigurationFile.Load(file, SinkTypes.All).Cluster.Id);
            Assert.Equal("given", ConfigurationFile.Load(file, SinkTypes.All, new Dictionary<string, string> { ["CDC_UNIT_TEST_ID"] = "given" }).Cluster.Id);
            Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(file, SinkTypes.All, new Dictionary<string, string>()));
        }
        finally
        {
            Environment.SetEnvironmentVariable("CDC_UNIT_TEST_ID", null);
            File.Delete(file);
        }
    }

    [Fact]
    public void A_file_that_cannot_be_read_is_named()
    {
        var missing = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}", "cdc.yaml");
        Assert.Equal($"{missing}: the file does not exist; name the configuration file, or create it",
            Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(missing, SinkTypes.All)).Message);
        Assert.Equal($"{Path.GetTempPath()}: this is a folder; name the configuration file in it",
            Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(Path.GetTempPath(), SinkTypes.All)).Message);
    }
}
