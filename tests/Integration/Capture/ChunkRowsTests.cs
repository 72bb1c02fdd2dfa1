using System.Globalization;
using CdcOrleans.Integration.Properties;
using CdcOrleans.Model.Capture;
using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

/// <summary>The rows of chunks are those of the stream: the same entities, schemas and bytes.</summary>
public sealed class ChunkRowsTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    private const string Extensions = "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;";

    private static IReadOnlyList<SqlType> Types => SqlTypes.With(
    [
        new SqlType("mood", d => d.Pick("sad", "ok", "so happy"), d => d.Pick("sad", "ok", "so happy")),
        new SqlType("price", d => NumberValues.Numeric(d, 8, 2)), new SqlType("pair", d => $"({d.Below(9)},x)"), SqlTypes.ArrayOf(new SqlType("numeric", NumberValues.Numeric)),
        SqlTypes.ArrayOf(new SqlType("timestamptz", TimeValues.TimestampWithZone)),
    ]);

    [Fact]
    public async Task Values_of_every_type_are_those_of_the_stream()
    {
        var types = Types;
        var dice = Dice.Of(12);
        await using var capture = await server.Capture(
            $"{Extensions} CREATE TYPE mood AS ENUM ('sad', 'ok', 'so happy'); CREATE DOMAIN price AS numeric(8,2); CREATE TYPE pair AS (a int, b text);"
            + $"CREATE TABLE types (id int PRIMARY KEY, {string.Join(", ", types.Select((t, i) => $"\"c,{i}\" {t.Name}"))})");
        await capture.Start();
        var rows = Enumerable.Range(1, 40).Select(id => $"({id}, {string.Join(", ", types.Select(t => t.Literal(t.ValueOrNull(dice, 10))))})");
        await capture.Execute($"INSERT INTO types VALUES {string.Join(", ", rows)}");

        var (changes, _) = await capture.NextTransaction();
        Assert.Equal(40, changes.Count);
        (await capture.ReadAll("public.types", rows: 7)).AssertSame(changes);
    }

    [Fact]
    public async Task Keys_of_every_type_are_read_once_each_and_are_those_of_the_stream()
    {
        // The server rounds timestamp(0) to values that its own input refuses.
        var types = Types.Where(t => t.Key is not null && t.Name != "timestamp(0)").ToList();
        var dice = Dice.Of(13);
        await using var capture = await server.Capture(
            $"{Extensions} CREATE TYPE mood AS ENUM ('sad', 'ok', 'so happy'); CREATE DOMAIN price AS numeric(8,2); CREATE TYPE pair AS (a int, b text);"
            + string.Concat(types.Select((t, i) => $"CREATE TABLE t{i} (v int, key {t.Name} PRIMARY KEY);")));
        await capture.Start();
        for (var i = 0; i < types.Count; i++)
        {
            var values = Enumerable.Range(1, 60).Select(v => $"({v}, {types[i].Literal(types[i].Key!(dice))})");
            await capture.Execute($"INSERT INTO t{i} VALUES {string.Join(", ", values)} ON CONFLICT DO NOTHING");
            var (changes, _) = await capture.NextTransaction();

            var chunks = await capture.ReadAll($"public.t{i}", rows: 4);
            chunks.AssertSame(changes);
            Assert.All(chunks, c => Assert.True(c.Rows.Count <= 4));

            // The same by their keys.
            var byKey = await capture.Chunks.Read(
                new ChunkRequest { Scope = ChunkExtensions.Scope($"public.t{i}"), Keys = [.. changes.Select(c => c.Entity.Key)] }, TestContext.Current.CancellationToken);
            Assert.Empty(byKey.Absent);
            new List<TableChunk> { byKey }.AssertSame(changes);
        }
    }

    [Fact]
    public async Task Text_keys_are_read_once_each_under_any_collation()
    {
        await using var capture = await server.Capture("""
            CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE TABLE plain (k text PRIMARY KEY, n int);
            CREATE TABLE c (k text COLLATE "C" PRIMARY KEY, n int);
            CREATE TABLE german (k text COLLATE "de-x-icu" PRIMARY KEY, n int);
            CREATE TABLE folded (k text COLLATE nocase PRIMARY KEY, n int);
            CREATE TABLE other (k text COLLATE nocase NOT NULL, n int);
            CREATE UNIQUE INDEX by_bytes ON other (k COLLATE "C");
            ALTER TABLE other REPLICA IDENTITY USING INDEX by_bytes;
            CREATE TABLE pattern (k text COLLATE "de-x-icu" NOT NULL, n int);
            CREATE UNIQUE INDEX by_pattern ON pattern (k text_pattern_ops);
            ALTER TABLE pattern REPLICA IDENTITY USING INDEX by_pattern;
            """);
        await capture.Start();
        foreach (var table in new[] { "plain", "c", "german", "folded", "other", "pattern" })
        {
            await capture.Execute($"""
                INSERT INTO {table} SELECT k, row_number() OVER () FROM unnest(ARRAY['a', 'A', 'b', 'B', 'ä', 'Ä', 'z', '', ' ', 'a b', 'a-b', 'ab', '\', '\N', ',', 'a,b', '世界', '\\n', E'\n', '''', '10', '9']) AS k
                ON CONFLICT DO NOTHING
                """);
            var (changes, _) = await capture.NextTransaction();
            foreach (var rows in new[] { 1, 3, 100 })
                (await capture.ReadAll($"public.{table}", rows)).AssertSame(changes);
        }
    }

    [Fact]
    public async Task Composite_keys_are_read_in_the_order_of_their_index()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE pairs (a text, b int, c timestamptz, PRIMARY KEY (c, a));
            CREATE TABLE indexed (x int, code text NOT NULL, region text NOT NULL);
            CREATE UNIQUE INDEX by_code ON indexed (region, code) INCLUDE (x);
            ALTER TABLE indexed REPLICA IDENTITY USING INDEX by_code;
            CREATE EXTENSION citext;
            CREATE TABLE mixed (v0 citext, n int, cdc_key text, PRIMARY KEY (v0, n));
            CREATE TABLE whole (x int, code text NOT NULL UNIQUE);
            ALTER TABLE whole REPLICA IDENTITY FULL;
            """);
        await capture.Start();
        await capture.Execute("INSERT INTO pairs SELECT 'a,' || a, 1, '2024-01-01'::timestamptz + c * interval '1 us' FROM generate_series(1, 10) a, generate_series(1, 10) c");
        var (pairs, _) = await capture.NextTransaction();
        (await capture.ReadAll("public.pairs", rows: 7)).AssertSame(pairs);
        await capture.Execute("INSERT INTO indexed SELECT 1, c, r FROM unnest(ARRAY['x', 'y', 'z']) c, unnest(ARRAY['q', 'r', 's']) r");
        var (indexed, _) = await capture.NextTransaction();
        (await capture.ReadAll("public.indexed", rows: 2)).AssertSame(indexed);
        await capture.Execute("INSERT INTO mixed SELECT c, n, c FROM unnest(ARRAY['x', 'Y', 'z', 'A', 'b']) c, generate_series(1, 4) n");
        var (mixed, _) = await capture.NextTransaction();
        foreach (var rows in new[] { 1, 3 })
            (await capture.ReadAll("public.mixed", rows)).AssertSame(mixed);
        var ofKeys = await capture.Chunks.Read(
            new ChunkRequest { Scope = ChunkExtensions.Scope("public.mixed"), Keys = ["y,1", "Y,1", "A,4"] }, TestContext.Current.CancellationToken);
        Assert.Equal(["A,4", "Y,1"], ofKeys.Rows.Select(r => r.Entity.Key).Order(StringComparer.Ordinal));
        Assert.Equal(["y,1"], ofKeys.Absent.Select(a => a.Key));
        await capture.Execute("INSERT INTO whole SELECT 1, c FROM unnest(ARRAY['x', 'y', 'z']) c");
        var (whole, _) = await capture.NextTransaction();
        (await capture.ReadAll("public.whole", rows: 2)).AssertSame(whole);

        var absent = await capture.Chunks.Read(
            new ChunkRequest { Scope = ChunkExtensions.Scope("public.indexed"), Keys = ["x,q", "q,x", "y,r"] }, TestContext.Current.CancellationToken);
        Assert.Equal(["x,q", "y,r"], absent.Rows.Select(r => r.Entity.Key).Order());
        Assert.Equal(["public.indexed/q,x"], absent.Absent.Select(a => a.ToString()));
    }

    [Fact]
    public async Task A_table_without_a_key_is_read_by_place_while_its_rows_move()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE log (n int, note text);
            ALTER TABLE log REPLICA IDENTITY FULL;
            INSERT INTO log SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n;
            """);
        await capture.Start();
        Assert.Equal(ChunkOrder.Place, (await capture.Plan("public.log")).Order);

        var round = 0;
        var chunks = await capture.ReadAll("public.log", rows: 150, between: async _ =>
        {
            // The rows move to other blocks, also to those that were read before.
            if (round++ < 8)
            {
                await capture.Execute($"UPDATE log SET note = repeat('y', 500) WHERE n % 20 = {round}");
                await capture.Execute("VACUUM log");
            }
        });
        Assert.True(chunks.Count > 10);
        Assert.All(chunks.SelectMany(c => c.Rows), r => Assert.Equal("", r.Entity.Key));

        // What moved while it was read has an event in the stream.
        var read = chunks.SelectMany(c => c.Rows).Select(r => int.Parse(Values(r.Row)[0]!, CultureInfo.InvariantCulture)).ToHashSet();
        while (read.Count < 2000)
            read.UnionWith((await capture.NextTransaction()).Changes.Select(c => int.Parse(Values(c.After)[0]!, CultureInfo.InvariantCulture)));
        Assert.Equal(Enumerable.Range(1, 2000), read.Order());
    }

    [Fact]
    public async Task Rows_and_columns_that_are_not_published_are_not_read()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE items (id int PRIMARY KEY, visible bool, name text, secret text, twice int GENERATED ALWAYS AS (id * 2) STORED);
            """);
        await capture.Execute($"""
            CREATE PUBLICATION "{capture.Source.Publication.Replace("\"", "\"\"", StringComparison.Ordinal)}" FOR TABLE items (id, visible, name) WHERE (visible AND id < 100)
            WITH (publish_via_partition_root = true);
            ALTER TABLE items REPLICA IDENTITY FULL;
            ALTER TABLE items REPLICA IDENTITY DEFAULT;
            """);
        await capture.Execute("ALTER PUBLICATION \"" + capture.Source.Publication.Replace("\"", "\"\"", StringComparison.Ordinal) + "\" SET (publish = 'insert')");
        await capture.Execute("INSERT INTO items VALUES (1, true, 'one', 's'), (2, false, 'two', 's'), (3, NULL, 'three', 's'), (200, true, 'far', 's')");

        var chunks = await capture.ReadAll("public.items");

        Assert.Equal(["id", "visible", "name"], chunks[0].Table.Columns.Select(c => c.Name));
        Assert.Equal(["1", "t", "one"], Values(Assert.Single(chunks[0].Rows).Row));
    }

    [Fact]
    public async Task Partitions_are_read_as_the_stream_names_them()
    {
        const string Schema = """
            CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
            CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
            CREATE TABLE parts_b (v text, region text, id int, PRIMARY KEY (id, region));
            ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
            CREATE TABLE loose (id int, region text) PARTITION BY LIST (region);
            CREATE TABLE loose_a PARTITION OF loose FOR VALUES IN ('a');
            CREATE TABLE loose_b PARTITION OF loose FOR VALUES IN ('b');
            ALTER TABLE loose REPLICA IDENTITY FULL; ALTER TABLE loose_a REPLICA IDENTITY FULL; ALTER TABLE loose_b REPLICA IDENTITY FULL;
            """;
        await using var rooted = await server.Capture(Schema);
        await rooted.Start();
        await rooted.Execute("INSERT INTO parts SELECT n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END, 'v' || n FROM generate_series(1, 20) n");
        var (changes, _) = await rooted.NextTransaction();
        (await rooted.ReadAll("public.parts", rows: 3)).AssertSame(changes);
        await rooted.Execute("INSERT INTO loose SELECT n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 20) n");
        var loose = (await rooted.ReadAll("public.loose", rows: 3)).SelectMany(c => c.Rows).Select(r => int.Parse(Values(r.Row)[0]!, CultureInfo.InvariantCulture));
        Assert.Equal(Enumerable.Range(1, 20), loose.Order());
        Assert.Contains("Name the partitioned table", (await Assert.ThrowsAsync<CaptureException>(() => rooted.Plan("public.parts_a"))).Message);

        await using var leaves = await server.Capture(Schema, s => s with { ViaPartitionRoot = false });
        await leaves.Start();
        await leaves.Execute("INSERT INTO parts SELECT n, 'b', 'v' || n FROM generate_series(1, 20) n");
        var (ofLeaf, _) = await leaves.NextTransaction();
        (await leaves.ReadAll("public.parts_b", rows: 3)).AssertSame(ofLeaf);
        Assert.Contains("Name the partitions", (await Assert.ThrowsAsync<CaptureException>(() => leaves.Plan("public.parts"))).Message);
    }
}
