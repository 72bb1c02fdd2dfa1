using CdcOrleans.Configuration;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>What is refused, and in which words. Lines and columns are those of <see cref="Reader.Fine"/>.</summary>
public sealed class RefusalTests
{
    private const string Source = "postgres: { connection: Host=127.0.0.1;Database=shop }";
    private const string Tables = "tables: [\"public.*\"]";
    private const string Sink = "{ type: kafka, bootstrap: \"127.0.0.1:9092\" }";
    private const string Route = "- { from: \"shop.*\", to: events }";

    [Theory]
    // Structure.
    [InlineData("id: shop", "id: shop, idd: x", "1:22: cluster.idd: unknown key 'idd'; did you mean 'id'? Known keys: id, address, silo_port, client_port, entity_cache")]
    [InlineData("id: shop", "id: shop, colour: x", "1:22: cluster.colour: unknown key 'colour'; known keys: id, address, silo_port, client_port, entity_cache")]
    [InlineData("id: shop", "id: shop, id: x", "1:22: cluster.id: key 'id' is given twice, first at line 1; remove one")]
    [InlineData("{ id: shop }", "shop", "1:10: cluster: expected a mapping (key: value), found a single value")]
    [InlineData("{ id: shop }", "[shop]", "1:10: cluster: expected a mapping (key: value), found a list")]
    [InlineData("id: shop", "id: [shop]", "1:16: cluster.id: expected a single value, found a list")]
    [InlineData("cluster: { id: shop }\n", "", "1:1: cluster: is missing; write 'cluster: { id: … }'")]
    [InlineData("tables: [\"public.*\"]", "tables: { a: b }", "6:13: sources.shop.tables: expected a list, found a mapping")]
    [InlineData(Tables, "tables: []", "6:13: sources.shop.tables: the list is empty; give at least one item")]
    // The cluster.
    [InlineData("id: shop", "id: Shop", "1:16: cluster.id: 'Shop' is not a cluster id; write 1 to 63 characters of a-z, 0-9 and '-'")]
    [InlineData("id: shop", "id: \"\"", "1:16: cluster.id: is empty; give a value, or leave the key out for its default")]
    [InlineData("id: shop", "address: 10.0.0.5", "1:1: cluster.id: is missing; silos with one id and one control database form a cluster; write for example 'id: shop'")]
    [InlineData("id: shop", "id: shop, address: silo-1", "1:31: cluster.address: 'silo-1' is not an IP address; write the address the other silos reach this one at, such as 10.0.0.5")]
    [InlineData("id: shop", "id: shop, address: 127.1", "1:31: cluster.address: '127.1' is not an IP address; write the address the other silos reach this one at, such as 10.0.0.5")]
    [InlineData("id: shop", "id: shop, address: 0.0.0.0", "1:31: cluster.address: '0.0.0.0' is no address that others can reach; write this machine's own, such as 10.0.0.5")]
    [InlineData("id: shop", "id: shop, silo_port: 70000", "1:33: cluster.silo_port: '70000' is out of range; write a number from 0 to 65535")]
    [InlineData("id: shop", "id: shop, silo_port: -1", "1:33: cluster.silo_port: '-1' is out of range; write a number from 0 to 65535")]
    [InlineData("id: shop", "id: shop, silo_port: 99999999999999999999999", "1:33: cluster.silo_port: '99999999999999999999999' is out of range; write a number from 0 to 65535")]
    [InlineData("id: shop", "id: shop, client_port: http", "1:35: cluster.client_port: 'http' is not a whole number; write one from 0 to 65535")]
    [InlineData("id: shop", "id: shop, client_port: 11111", "1:35: cluster.client_port: '11111' is both silo_port (default 11111) and client_port (default 30000); give them different ports")]
    [InlineData("id: shop", "id: shop, entity_cache: 12", "1:36: cluster.entity_cache: '12' is out of range; write a size from 1MB to 1024GB")]
    [InlineData("id: shop", "id: shop, entity_cache: lots", "1:36: cluster.entity_cache: 'lots' is not a size; write a whole number and a unit (KB, MB or GB; none for bytes), from 1MB to 1024GB")]
    // The control database.
    [InlineData("Database=cdc }", "Database=cdc, checkpoint: { interval: 1ms } }", "2:77: control.checkpoint.interval: '1ms' is out of range; write a duration from 10ms to 10s")]
    [InlineData("Database=cdc }", "Database=cdc, checkpoint: { interval: 200 } }", "2:77: control.checkpoint.interval: '200' is not a duration; write a whole number and a unit (ms, s, m, h or d), from 10ms to 10s")]
    [InlineData("Database=cdc }", "Database=cdc, checkpoint: { bytes: 2GB } }", "2:74: control.checkpoint.bytes: '2GB' is out of range; write a size from 64KB to 1GB")]
    [InlineData("Database=cdc }", "Database=cdc, retention: { dead_letters: 5m } }", "2:80: control.retention.dead_letters: '5m' is out of range; write a duration from 1h to 3650d, or 0 for no end")]
    [InlineData("connection: Host=127.0.0.1;Database=cdc", "checkpoint: {}", "2:1: control.connection: is missing; write for example 'connection: Host=127.0.0.1;Database=shop;Username=cdc'")]
    // Connections.
    [InlineData("Host=127.0.0.1;Database=cdc", "postgres://cdc:hunter2@db/cdc", "2:24: control.connection: is not a connection string; write keyword=value pairs separated by ';', such as Host=127.0.0.1;Database=shop;Username=cdc")]
    [InlineData("Host=127.0.0.1;Database=cdc", "Database=cdc;Password=hunter2", "2:24: control.connection: names no Host; write for example Host=127.0.0.1;Database=shop;Username=cdc")]
    [InlineData("Host=127.0.0.1;Database=cdc", "Host=db;Password=hunter2", "2:24: control.connection: names no Database; write for example Host=127.0.0.1;Database=shop;Username=cdc")]
    [InlineData("Host=127.0.0.1;Database=cdc", "Host=db;Database=cdc;Port=hunter2", "2:24: control.connection: has a Port that is not a number from 1 to 65535")]
    // Sources.
    [InlineData(Source, "backfill: never", "4:3: sources.shop.postgres: is missing; write 'postgres: { connection: … }'")]
    [InlineData(Source, "postgres: { slot: a }", "5:5: sources.shop.postgres.connection: is missing; write for example 'connection: Host=127.0.0.1;Database=shop;Username=cdc'")]
    [InlineData("Database=shop }", "Database=shop, slto: a }", "5:59: sources.shop.postgres.slto: unknown key 'slto'; did you mean 'slot'? Known keys: connection, slot, publication, publish_via_partition_root, replicas")]
    [InlineData("Database=shop }", "Database=shop, slot: A-1 }", "5:65: sources.shop.postgres.slot: 'A-1' is not a slot name; PostgreSQL takes 1 to 63 characters of a-z, 0-9 and '_'")]
    [InlineData("Database=shop }", "Database=shop, publication: a123456789b123456789c123456789d123456789e123456789f123456789g123 }", "5:72: sources.shop.postgres.publication: 'a123456789b123456789c123456789d123456789e123456789f123456789g123' is not a publication name; PostgreSQL takes 1 to 63 bytes")]
    [InlineData(Tables, "backfill: never", "4:3: sources.shop.tables: is missing; list at least one table or pattern, such as 'tables: [\"public.*\"]'")]
    [InlineData(Tables, "tables: [orders]", "6:14: sources.shop.tables[0]: 'orders' names no schema; write schema.table, such as 'public.orders', with '*' for any text")]
    [InlineData(Tables, "tables: [public.a, public.]", "6:24: sources.shop.tables[1]: 'public.' is not a table; write schema.table, with '*' for any text")]
    [InlineData(Tables, "tables: [public.a, { table: public.a }]", "6:33: sources.shop.tables[1].table: 'public.a' is given twice, first at line 6; remove one")]
    [InlineData(Tables, "tables: [{ entities: off }]", "6:14: sources.shop.tables[0].table: is missing; write for example 'table: public.audit'")]
    [InlineData(Tables, "tables: [{ table: public.a, values: { decimals: exact } }]", "6:53: sources.shop.tables[0].values.decimals: 'exact' is not known here; write 'string' or 'precise' or 'double'")]
    [InlineData(Tables, "tables: [{ table: public.a, values: { money_digits: 19 } }]", "6:57: sources.shop.tables[0].values.money_digits: '19' is out of range; write a number from 0 to 18")]
    [InlineData(Tables, "tables: [{ table: public.a, entities: versoin }]", "6:43: sources.shop.tables[0].entities: 'versoin' is not known here; did you mean 'version'? write 'row' or 'version' or 'off'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    backfill: always", "7:15: sources.shop.backfill: 'always' is not known here; write 'never' or 'initial' or 'when_needed'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    backfill: { mode: initial, where: a > 1 }", "7:32: sources.shop.backfill.where: belongs to single tables; give it to a table, such as 'tables: [{ table: public.orders, backfill: { where: … } }]'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    partitions: 0", "7:17: sources.shop.partitions: '0' is out of range; write a number from 1 to 4096")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    window: { changes: 999 }", "7:24: sources.shop.window.changes: '999' is out of range; write a number from 1000 to 10000000")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    memory: 1MB", "7:13: sources.shop.memory: '1MB' is out of range; write a size from 2MB to 1024GB")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    memory: 63MB", "7:13: sources.shop.memory: is smaller than twice the window (32MB), which is a part of it; write at least 64MB, or lower 'window.bytes'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    window: { bytes: 1023KB }", "7:22: sources.shop.window.bytes: '1023KB' is out of range; write a size from 1MB to 64GB")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    heartbeat: 2h", "7:16: sources.shop.heartbeat: '2h' is out of range; write a duration from 100ms to 1h, or 0 for none")]
    // Events.
    [InlineData(Tables, "tables: [\"public.*\"]\n    events: { skip: [x] }", "7:22: sources.shop.events.skip[0]: 'x' is not known here; write 'c' or 'u' or 'd' or 't' or 'none'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    events: { skip: [t, none] }", "7:25: sources.shop.events.skip[1]: 'none' cannot be combined with operations; write the operations to skip, or only none")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    events: { tombstones: no }", "7:27: sources.shop.events.tombstones: 'no' is not known here; write 'true' or 'false'")]
    [InlineData(Tables, "tables: [\"public.*\"]\n    heartbeat: 0\n    events: { heartbeats: true }", "8:5: sources.shop.events.heartbeats: there are no heartbeats, because 'heartbeat' is 0; set an interval there, or leave this out")]
    [InlineData(Tables, "tables: [{ table: public.a, events: { transactions: true } }]", "6:43: sources.shop.tables[0].events.transactions: unknown key 'transactions'; known keys: skip, tombstones")]
    [InlineData("Database=shop }", "Database=shop, publish_via_partition_root: 1 }", "5:87: sources.shop.postgres.publish_via_partition_root: '1' is not known here; write 'true' or 'false'")]
    // Sinks.
    [InlineData(Sink, "{ bootstrap: \"127.0.0.1:9092\" }", "8:3: sinks.events.type: is missing; write 'type: kafka', 'type: file' or 'type: webhook'")]
    [InlineData(Sink, "{ type: kafak }", "8:19: sinks.events.type: 'kafak' is not a type of sink; did you mean 'kafka'? this version has kafka, file and webhook")]
    [InlineData(Sink, "{ type: rabbit }", "8:19: sinks.events.type: 'rabbit' is not a type of sink; this version has kafka, file and webhook")]
    [InlineData(Sink, "{ type: postgres }", "8:19: sinks.events.type: 'postgres' is not a type of sink; this version has kafka, file and webhook")]
    [InlineData(Sink, "{ type: kafka }", "8:3: sinks.events.bootstrap: is missing; write for example 'bootstrap: 127.0.0.1:9092'")]
    [InlineData(Sink, "{ type: kafka, bootstrap: \"a:1,b\" }", "8:37: sinks.events.bootstrap: 'a:1,b' is not a list of servers; write host:port separated by commas, such as kafka1:9092,kafka2:9092")]
    [InlineData(Sink, "{ type: kafka, bootstrap: [\"a:1\", \"a:0\"] }", "8:45: sinks.events.bootstrap[1]: 'a:0' is not a list of servers; write host:port separated by commas, such as kafka1:9092,kafka2:9092")]
    [InlineData("9092\" }", "9092\", options: { bootstrap.servers: x } }", "8:66: sinks.events.options.bootstrap.servers: 'bootstrap.servers' is set by the key bootstrap; write the servers there")]
    [InlineData("9092\" }", "9092\", options: { acks: [all] } }", "8:72: sinks.events.options.acks: expected a single value, found a list")]
    [InlineData("9092\" }", "9092\", type: kafka }", "8:55: sinks.events.type: key 'type' is given twice, first at line 8; remove one")]
    [InlineData(Sink, "{ type: webhook, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:3: sinks.events.url: is missing; write for example 'url: https://hooks.example.com/cdc'")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h/x' }", "8:3: sinks.events.secret: is missing; write for example 'secret: \"${HOOK_SECRET}\"'; requests are signed with it")]
    [InlineData(Sink, "{ type: webhook, url: 'https://u:pw@h/{nope}', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:33: sinks.events.url: has a place holder that is not known; the place holders are {topic}, {source} and {table}, and write %7B for a '{'")]
    [InlineData(Sink, "{ type: webhook, url: 'http://localhost/x', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:33: sinks.events.url: leads to an address that is not of the public internet; correct it, or set private_addresses: allow")]
    [InlineData(Sink, "{ type: webhook, url: 'http://10.0.0.1/x', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:33: sinks.events.url: leads to an address that is not of the public internet; correct it, or set private_addresses: allow")]
    [InlineData(Sink, "{ type: webhook, url: 'http://[::1]/x', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:33: sinks.events.url: leads to an address that is not of the public internet; correct it, or set private_addresses: allow")]
    [InlineData(Sink, "{ type: webhook, url: 'http://169.254.169.254/x', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }", "8:33: sinks.events.url: leads to an address that is not of the public internet; correct it, or set private_addresses: allow")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_c2hvcnQ= }", "8:54: sinks.events.secret: is not a secret; write 'whsec_' and base64 of 24 to 64 random bytes, such as the output of: echo whsec_$(openssl rand -base64 32)")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, batch: 0 }", "8:101: sinks.events.batch: '0' is out of range; write a number from 1 to 10000")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, batch: { events: 5, size: 3 } }", "8:114: sinks.events.batch.size: unknown key 'size'; known keys: events, bytes, linger")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, batch: { bytes: 5 } }", "8:110: sinks.events.batch.bytes: '5' is out of range; write a size from 1KB to 64MB")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, timeout: 1h }", "8:103: sinks.events.timeout: '1h' is out of range; write a duration from 100ms to 5m")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, concurrency: 1000 }", "8:107: sinks.events.concurrency: '1000' is out of range; write a number from 1 to 256")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, retry_statuses: [404, 500] }", "8:116: sinks.events.retry_statuses[1]: '500' is out of range; write a number from 400 to 499")]
    [InlineData(Sink, "{ type: webhook, url: 'https://h', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, private_addresses: yes }", "8:113: sinks.events.private_addresses: 'yes' is not known here; write 'refuse' or 'allow'")]
    [InlineData(Sink, "{ type: file }", "8:3: sinks.events.directory: is missing; write for example 'directory: ./out'")]
    [InlineData(Sink, "{ type: file, directory: x, bootstrap: y }", "8:39: sinks.events.bootstrap: unknown key 'bootstrap'; known keys: type, directory, rotate, delivery")]
    [InlineData(Sink, "{ type: file, directory: x, rotate: { keep: 3 } }", "8:47: sinks.events.rotate: says neither when a file is full nor how long it lasts; write size, every, or both")]
    [InlineData(Sink, "{ type: file, directory: x, rotate: { size: 3 } }", "8:55: sinks.events.rotate.size: '3' is out of range; write a size from 1KB to 1024GB")]
    [InlineData("9092\" }", "9092\", options: { create_topics: true } }", "8:66: sinks.events.options.create_topics: 'create_topics' is a key of the sink itself; write it beside options")]
    [InlineData("9092\" }", "9092\", topic: 'x.{tabel}' }", "8:62: sinks.events.topic: has '{tabel}', which is not known here; write {topic}, {source}, {schema}, {table}")]
    [InlineData("9092\" }", "9092\", create_topics: { partitions: 0 } }", "8:84: sinks.events.create_topics.partitions: '0' is out of range; write a number from 1 to 10000")]
    [InlineData("9092\" }", "9092\", tls: { ca: ./none.pem } }", "8:66: sinks.events.tls.ca: is not a file that can be read; write the path of a file in the form PEM")]
    [InlineData("9092\" }", "9092\", sasl: { mechanism: PLAIN, username: u } }", "8:55: sinks.events.sasl.password: is missing; write for example 'password: \"${KAFKA_PASSWORD}\"'")]
    [InlineData("9092\" }", "9092\", tls: true, options: { security.protocol: plaintext } }", "8:77: sinks.events.options.security.protocol: 'security.protocol' is set by the keys tls and sasl; remove it here or there")]
    // Routes.
    [InlineData(Route, "{ from: \"shop.*\", to: events }", "10:3: routes: expected a list of routes, found a mapping; write for example - { from: \"shop.*\", to: events }")]
    [InlineData("from: \"shop.*\", ", "", "10:5: routes[0].from: is missing; write source.schema.table with '*' for any text, such as \"shop.public.*\"")]
    [InlineData("\"shop.*\", to: events", "\"shop.*\"", "10:5: routes[0].to: is missing; name a sink, or a list of sinks")]
    [InlineData("to: events", "to: evnets", "10:27: routes[0].to: 'evnets' is not a sink; did you mean 'events'? the sinks are events")]
    [InlineData("to: events", "to: [events, nowhere]", "10:36: routes[0].to[1]: 'nowhere' is not a sink; the sinks are events")]
    [InlineData("to: events", "to: [events, events]", "10:36: routes[0].to[1]: 'events' is given twice; remove one")]
    [InlineData("shop.*\", to", "shpo.*\", to", "10:13: routes[0].from: 'shpo.*' names no source; did you mean 'shop'? the sources are shop")]
    [InlineData("shop.*\", to", "shop\", to", "10:13: routes[0].from: 'shop' names no table; write source.schema.table with '*' for any text, such as 'shop.*'")]
    [InlineData("shop.*\", to", "shop.pubic.*\", to", "10:13: routes[0].from: 'shop.pubic.*' selects no table that is captured; compare it with the tables of the source (source.schema.table, with '*' for any text)")]
    [InlineData("to: events", "to: events, format: debzium", "10:43: routes[0].format: 'debzium' is not an event format; did you mean 'debezium'? write 'debezium' or 'flat' or 'cloudevents'")]
    [InlineData("to: events }", "to: events }\n  - { from: shop.public.orders, to: [events] }", "11:13: routes[1].from: 'shop.public.orders' (line 11) and 'shop.*' (line 10) can select the same table for sink 'events', which would get its changes twice; narrow or remove one")]
    public void A_mistake_is_named_with_its_place_and_remedy(string old, string replacement, string expected) =>
        Assert.Equal($"cdc.yaml:{expected}", Reader.RefusedWith(old, replacement));

    [Theory]
    [InlineData("http://0.0.0.0:8080", "'http://0.0.0.0:8080' can be reached from other machines, and this version has no authentication yet: listen on 127.0.0.1 or ::1")]
    [InlineData("http://cdc.example.com", "'http://cdc.example.com' can be reached from other machines, and this version has no authentication yet: listen on 127.0.0.1 or ::1")]
    [InlineData("ftp://127.0.0.1", "is not an address to listen at; write http or https, a host and a port, such as http://127.0.0.1:8080")]
    [InlineData("8080", "is not an address to listen at; write http or https, a host and a port, such as http://127.0.0.1:8080")]
    [InlineData("http://a:hunter2@127.0.0.1", "is not an address to listen at; write http or https, a host and a port, such as http://127.0.0.1:8080")]
    [InlineData("http://127.0.0.1/x", "is not an address to listen at; write http or https, a host and a port, such as http://127.0.0.1:8080")]
    public void The_gateway_listens_on_loopback_only(string listen, string expected) =>
        Assert.Equal([$"cdc.yaml:11:20: gateway.listen: {expected}"], Reader.Refused($"{Reader.Fine}\ngateway: {{ listen: \"{listen}\" }}"));

    [Fact]
    public void A_source_without_a_route_is_refused() =>
        Assert.Equal(
            "cdc.yaml:7:3: sources.spare: no route selects this source; add a route such as - { from: \"spare.*\", to: … }, or remove the source",
            Reader.RefusedWith("sinks:", "  spare: { postgres: { connection: Host=b;Database=b }, tables: \"*\" }\nsinks:"));

    [Fact]
    public void Names_of_sources_and_sinks_are_checked()
    {
        Assert.Equal("cdc.yaml:4:3: sources.a/b: 'a/b' is not a source name; write letters, digits, '_' and '-'",
            Reader.Refused(Reader.Fine.Replace("shop:", "a/b:", StringComparison.Ordinal).Replace("shop.*", "*", StringComparison.Ordinal))[0]);
        Assert.Equal("cdc.yaml:8:3: sinks.a.b: 'a.b' is not a sink name; write letters, digits, '_' and '-'",
            Assert.Single(Reader.Refused(Reader.Fine.Replace("events", "a.b", StringComparison.Ordinal))));
    }

    [Fact]
    public void A_slot_whose_default_is_no_slot_name_must_be_given()
    {
        var file = Reader.Fine.Replace("shop:", "My-Shop:", StringComparison.Ordinal).Replace("shop.*", "My-Shop.*", StringComparison.Ordinal);
        Assert.Equal(
            ["cdc.yaml:5:5: sources.My-Shop.postgres.slot: is missing, and its default 'cdc_My-Shop' is not a slot name; write one of 1 to 63 characters of a-z, 0-9 and '_'"],
            Reader.Refused(file));
        var read = Reader.Read(file.Replace("Database=shop", "Database=shop, slot: mine", StringComparison.Ordinal));
        Assert.Equal(("mine", "cdc_My-Shop"), (read.Sources["My-Shop"].Slot, read.Sources["My-Shop"].Publication));
    }

    [Fact]
    public void Two_sources_on_one_server_do_not_share_a_slot() =>
        Assert.Equal(
            "cdc.yaml:7:67: sources.two.postgres.slot: the slot is also that of sources.shop (line 4) on the same server; give each source a slot of its own",
            Assert.Single(Reader.Refused(Reader.Fine.Replace("\"shop.*\"", "\"*\"", StringComparison.Ordinal).Replace("sinks:", "  two: { postgres: { connection: HOST=127.0.0.1;Database=b, slot: cdc_shop }, tables: \"*\" }\nsinks:", StringComparison.Ordinal))));

    [Fact]
    public void All_mistakes_are_reported_in_the_order_of_the_file() =>
        Assert.Equal(
            [
                "cdc.yaml:1:1: control: is missing; write 'control: { connection: … }'",
                "cdc.yaml:1:16: cluster.id: 'UP' is not a cluster id; write 1 to 63 characters of a-z, 0-9 and '-'",
                "cdc.yaml:3:1: sources: is empty; name at least one captured database",
                "cdc.yaml:4:21: sinks.f.type: 'flie' is not a type of sink; did you mean 'file'? this version has kafka, file and webhook",
                "cdc.yaml:5:30: routes[0].to: 'g' is not a sink; the sinks are f",
                "cdc.yaml:6:1: extra: unknown key 'extra'; known keys: cluster, control, sources, sinks, routes, gateway",
            ],
            Reader.Refused("""
                cluster: { id: UP }

                sources: {}
                sinks: { f: { type: flie } }
                routes: [ { from: a.b.c, to: g } ]
                extra: 1
                """));

    [Theory]
    [InlineData("id: shop")]
    [InlineData("Host=127.0.0.1;Database=cdc")]
    [InlineData("Host=127.0.0.1;Database=shop")]
    [InlineData("public.*")]
    [InlineData("kafka, ")]
    [InlineData("127.0.0.1:9092")]
    [InlineData("shop.*\"")]
    [InlineData("to: events")]
    public void Substituted_values_are_never_printed(string place)
    {
        // A value that is wrong wherever it is put.
        const string Secret = "Hunter2 \u0001";
        var reference = place switch { "id: shop" => "id: \"${S}\"", "to: events" => "to: \"${S}\"", "kafka, " => "\"${S}\", ", "shop.*\"" => "${S}\"", _ => "${S}" };
        var text = Reader.Fine.Replace(place, reference, StringComparison.Ordinal).Replace("connection: ${S}", "connection: \"${S}\"", StringComparison.Ordinal);
        var findings = Reader.Refused(text, ("S", Secret));
        Assert.NotEmpty(findings);
        Assert.DoesNotContain(findings, f => f.Contains("unter", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void A_long_text_does_not_print_what_its_references_give() =>
        Assert.DoesNotContain("hunter2", Reader.RefusedWith("public.*", new string('x', 100) + "${S}", ("S", "hunter2")), StringComparison.Ordinal);

    [Fact]
    public void A_missing_secret_is_named_with_the_place_that_needs_it() =>
        Assert.Equal(
            "cdc.yaml:2:24: control.connection: missing secret or setting: the environment variable CDC_PASSWORD is not set; set it, or give a default as ${CDC_PASSWORD:-default}",
            Reader.RefusedWith("Host=127.0.0.1;Database=cdc", "\"Host=127.0.0.1;Database=cdc;Password=${CDC_PASSWORD}\""));

    [Fact]
    public void A_reference_that_gives_a_wrong_value_is_shown_as_written() =>
        Assert.Equal("cdc.yaml:7:17: sources.shop.partitions: '${N}' is out of range; write a number from 1 to 4096",
            Reader.RefusedWith(Tables, Tables + "\n    partitions: \"${N}\"", ("N", "5000")));

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("---\n")]
    [InlineData("~")]
    public void An_empty_file_is_refused(string text) =>
        Assert.Equal(["cdc.yaml: the file is empty; it needs at least cluster, control, sources, sinks and routes"], Reader.Refused(text));

    [Theory]
    [InlineData("a: b: c", "1:5: not valid YAML: ")]
    [InlineData("a: [1\nb: 2", "1:4: not valid YAML: what follows cannot be read; look for a missing bracket, brace or quote")]
    [InlineData("a:\n\tb: 1", "1:1: not valid YAML: ")]
    [InlineData("a: *nowhere", "1:4: '*' refers to an anchor ('&…') that is not complete before this place; define it earlier, or quote a value that starts with '*'")]
    [InlineData("a: &a [*a]", "1:8: '*' refers to an anchor ('&…') that is not complete before this place; define it earlier, or quote a value that starts with '*'")]
    [InlineData("a: !x y", "1:4: tags ('!…') have no meaning here; remove it, or quote a value that starts with '!'")]
    [InlineData("a: 1\n<<: { b: 2 }", "2:1: merge keys ('<<') are not supported; repeat the keys, or use an alias for the whole value")]
    [InlineData("? [a]\n: 1", "1:3: a key must be a single value, not a mapping or a list")]
    [InlineData("a: 1\n---\nb: 2", "2:1: a second document starts here; the file must have one document, so remove this '---' and what follows")]
    [InlineData("just text", "1:1: expected a mapping (key: value), found a single value")]
    public void What_is_not_usable_YAML_is_refused(string text, string expected) =>
        Assert.StartsWith($"cdc.yaml:{expected}", Assert.Single(Reader.Refused(text)), StringComparison.Ordinal);

    [Fact]
    public void Any_text_is_read_or_refused()
    {
        // Random cuts and insertions; whatever comes of it, no other exception may escape.
        var noise = Gen.String[Gen.Char["abc: -[]{}\"'&*!|>#%@`$,?\n\t~"], 0, 8];
        Gen.Select(Gen.Int[0, Reader.Fine.Length], Gen.Int[0, 30], noise).Sample((at, cut, text) =>
        {
            var broken = string.Concat(Reader.Fine.AsSpan(0, at), text, Reader.Fine.AsSpan(Math.Min(at + cut, Reader.Fine.Length)));
            try
            {
                Reader.Read(broken);
            }
            catch (ConfigurationException refusal)
            {
                Assert.All(refusal.Findings, f => Assert.True(f.Line > 0 && f.Column > 0, f.ToString()));
            }
        }, iter: 5_000);
    }

    [Fact]
    public void Endless_nesting_is_refused() =>
        Assert.Contains("nested deeper than 32 levels", Assert.Single(Reader.Refused(new string('[', 100_000))), StringComparison.Ordinal);

    [Fact]
    public void Anchors_and_aliases_are_read()
    {
        var read = Reader.Read("""
            cluster: { id: &id shop }
            control: { connection: &db Host=127.0.0.1;Database=shop }
            sources:
              shop:
                postgres: { connection: *db }
                tables: ["public.*"]
            sinks:
              shop: { type: kafka, bootstrap: "127.0.0.1:9092" }
            routes:
              - { from: "shop.*", to: *id }
            """);
        Assert.Equal(read.Control.Connection, read.Sources["shop"].Connection);
        Assert.Equal(["shop"], read.Routes[0].To);
    }
}
