using System.Text.Json;
using System.Text.RegularExpressions;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>What nobody should do to a captured database, and somebody does: the process stays, and the neighbours go on.</summary>
public sealed class BadInputTests(PostgresFixture postgres)
{
    private const string Items = "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, note text);";

    [Fact]
    public async Task A_value_of_hundreds_of_megabytes_is_left_out_and_takes_no_memory()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Items);
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES (1, 1, 'short')");
        await pipeline.Drained(silo);
        var before = silo.WorkingSet;
        var most = await pipeline.PeakOf(
            silo, "INSERT INTO items VALUES (2, 1, repeat('x', 900000000)); UPDATE items SET n = 2; INSERT INTO items VALUES (3, 1, 'after')", TimeSpan.FromMinutes(2));
        Assert.True(most < before + (150L << 20), $"The working set rose from {before >> 20} to {most >> 20} MiB.");
        var events = pipeline.Events("items");
        string[] Notes(int id) => [.. events.Where(e => e.Key == $$"""{"id":{{id}}}""").Select(e => $"{e.Op} {e.After.GetProperty("n")} {e.After.GetProperty("note")}")];
        Assert.Equal(["c 1 short", "u 2 short"], Notes(1));
        Assert.Equal(["c 1 __debezium_unavailable_value", "u 2 __debezium_unavailable_value"], Notes(2));
        Assert.Equal(["c 1 after"], Notes(3));
        Assert.Contains("1 values of the change at", silo.Output, StringComparison.Ordinal);
        Assert.Contains("large_values.limit", silo.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_over_the_limit_can_be_refused_instead()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Items, source: "large_values: { limit: 1MB, policy: refuse }");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES (1, 1, repeat('x', 1048576)), (2, 1, repeat('x', 1048577)), (3, 1, NULL)");
        await PostgresServer.Execute(pipeline.Database, "UPDATE items SET note = 'short' WHERE id = 2");
        await pipeline.Drained(silo);

        var events = pipeline.Events("items");
        Assert.Equal(["""{"id":1}""", """{"id":2}""", """{"id":3}"""], events.Select(e => e.Key).Order());
        Assert.Equal("u", events.Single(e => e.Key == """{"id":2}""").Op);
        Assert.Equal(
            "out|A value is longer than 1048576 bytes, the limit of large_values.",
            await PostgresServer.Scalar(pipeline.Control, "SELECT string_agg(sink || '|' || error, ',') FROM cdc.dead_letters WHERE entity_key = '2'"));
    }

    [Fact]
    public async Task A_row_that_the_server_cannot_send_is_named_and_can_be_passed()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Items + "CREATE TABLE files (id int PRIMARY KEY, content bytea)");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES (1, 1, 'before')");
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO files VALUES (1, convert_to(repeat('x', 600000000), 'UTF8')); INSERT INTO items VALUES (2, 1, 'with it')");
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES (3, 1, 'after')");
        await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() == "failed", "the source to fail", TimeSpan.FromMinutes(1));
        var detail = (await silo.Source("shop")).GetProperty("detail").GetString()!;
        Assert.Contains("cannot send a row, because its text is longer than the 1 GB", detail, StringComparison.Ordinal);
        var position = Regex.Match(detail, "associated LSN ([0-9A-F]+/[0-9A-F]+)").Groups[1].Value;

        // As docs/configuration.md says; the extension is there from PostgreSQL 15 on.
        if (await PostgresServer.Scalar(pipeline.Database, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_walinspect'") == "0")
            return;
        await PostgresServer.Execute(pipeline.Database, "CREATE EXTENSION pg_walinspect");
        await PostgresServer.Execute(pipeline.Database, $"""
            SELECT pg_replication_slot_advance('{pipeline.Slot}', end_lsn) FROM pg_get_wal_records_info('{position}', pg_current_wal_flush_lsn())
            WHERE resource_manager = 'Transaction' AND record_type LIKE 'COMMIT%' AND xid = (SELECT xid FROM pg_get_wal_record_info('{position}'))
            """);
        await silo.Until(
            async () => (await silo.Source("shop")).GetProperty("detail").GetString() is { } now && now.Contains("somebody moved it", StringComparison.Ordinal),
            "the moved slot to be noticed", TimeSpan.FromMinutes(1));
        await PostgresServer.Execute(pipeline.Control, "SELECT cdc.accept_gap('shop')");
        await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() == "streaming", "the source to stream again", TimeSpan.FromMinutes(1));
        await pipeline.Drained(silo);
        Assert.Equal(["before", "after"], pipeline.Events("items").Select(e => e.After.GetProperty("note").GetString()));
    }

    [Fact]
    public async Task A_row_of_as_many_columns_as_a_table_can_have_passes()
    {
        const int columns = 1600;
        var declared = string.Join(", ", Enumerable.Range(2, columns - 1).Select(i => i % 2 == 0 ? $"c{i} int" : $"c{i} text"));
        await using var pipeline = await Pipeline.Create(postgres.Server, $"CREATE TABLE wide (id int PRIMARY KEY, {declared});");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(
            pipeline.Database,
            $"INSERT INTO wide VALUES (1, {string.Join(", ", Enumerable.Range(2, columns - 1).Select(i => i % 2 == 0 ? $"{i}" : $"'{i % 10}'"))}); UPDATE wide SET c2 = NULL, c1600 = -1; DELETE FROM wide");
        await pipeline.Drained(silo);

        var events = pipeline.Events("wide");
        Assert.Equal(["c", "u", "d"], events.Select(e => e.Op));
        Assert.Equal(columns, events[0].After.EnumerateObject().Count());
        Assert.Equal("9", events[0].After.GetProperty("c1599").GetString());
        Assert.Equal(JsonValueKind.Null, events[1].After.GetProperty("c2").ValueKind);
        Assert.Equal(-1, events[1].After.GetProperty("c1600").GetInt32());
    }

    [Fact]
    public async Task Names_that_need_quotes_everywhere_are_captured()
    {
        // A double quote in a table's name ends Debezium's task; the others are here to keep it company.
        string[] names = ["we\"ird", "Order Lines", "sel;ect", "tab\tle", "naïve.táble", "it's", new string('x', 63), "select"];
        var quoted = names.Select(n => $"\"{n.Replace("\"", "\"\"")}\"").ToArray();
        await using var pipeline = await Pipeline.Create(postgres.Server, string.Join(';', quoted.Select(q => $"CREATE TABLE {q} (\"i\"\"d\" int PRIMARY KEY, \"a b\" text)")));
        await using var silo = await pipeline.Run();
        foreach (var table in quoted)
            await PostgresServer.Execute(pipeline.Database, $"INSERT INTO {table} VALUES (1, 'x'); UPDATE {table} SET \"a b\" = 'y'; DELETE FROM {table}");
        await pipeline.Drained(silo);

        var written = Directory.GetFiles(pipeline.Out).SelectMany(File.ReadAllLines).Select(l => JsonDocument.Parse(l).RootElement)
            .Where(l => l.GetProperty("value").ValueKind == JsonValueKind.Object).Select(l => l.GetProperty("value")).ToList();
        foreach (var name in names)
        {
            var events = written.Where(v => v.GetProperty("source").GetProperty("table").GetString() == name).ToList();
            Assert.Equal(["c", "u", "d"], events.Select(v => v.GetProperty("op").GetString()));
            Assert.Equal("y", events[1].GetProperty("after").GetProperty("a b").GetString());
            Assert.Equal(1, events[2].GetProperty("before").GetProperty("i\"d").GetInt32());
        }
    }

    [Fact]
    public async Task A_table_dropped_while_its_changes_wait_stops_nothing()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Items + "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE gone (id int PRIMARY KEY, mood mood);");
        await using (var first = await pipeline.Run())
        {
            await PostgresServer.Execute(pipeline.Database, "INSERT INTO gone VALUES (1, 'low')");
            await pipeline.Drained(first);
            await first.Signal("TERM");
            Assert.Equal(0, await first.Ended());
        }

        await PostgresServer.Execute(pipeline.Database, "INSERT INTO gone VALUES (2, 'high'); UPDATE gone SET mood = 'high' WHERE id = 1; INSERT INTO items VALUES (1, 1, NULL)");
        await PostgresServer.Execute(pipeline.Database, "DROP TABLE gone; DROP TYPE mood; INSERT INTO items VALUES (2, 1, NULL)");
        await using var silo = await pipeline.Run();
        await pipeline.Drained(silo);
        Assert.Equal(["c low", "c high", "u high"], pipeline.Events("gone").Select(e => $"{e.Op} {e.After.GetProperty("mood")}"));
        Assert.Equal(2, pipeline.Events("items").Count);
    }

    [Fact]
    public async Task A_publication_altered_underneath_is_mended_or_named()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, Items);
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, $"ALTER PUBLICATION {pipeline.Slot} DROP TABLE items");
        await silo.Until(
            async () => await PostgresServer.Scalar(pipeline.Database, "SELECT count(*) FROM pg_publication_tables") == "1", "the table to be published again");
        await silo.Until(() => Task.FromResult(silo.Output.Contains("public.items joined publication", StringComparison.Ordinal)), "the log to name the table");

        await PostgresServer.Execute(pipeline.Database, $"ALTER PUBLICATION {pipeline.Slot} SET (publish = 'insert')");
        await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() == "failed", "the source to fail");
        Assert.Contains("does not publish all of insert, update, delete and truncate", (await silo.Source("shop")).GetProperty("detail").GetString(), StringComparison.Ordinal);

        await PostgresServer.Execute(pipeline.Database, $"ALTER PUBLICATION {pipeline.Slot} SET (publish = 'insert, update, delete, truncate')");
        await silo.Until(async () => (await silo.Source("shop")).GetProperty("state").GetString() == "streaming", "the source to stream again", TimeSpan.FromSeconds(30));
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES (1, 1, NULL); DELETE FROM items");
        await pipeline.Drained(silo);
        Assert.Equal(["c", "d"], pipeline.Events("items").Select(e => e.Op));
    }
}
