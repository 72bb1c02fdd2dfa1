using CdcOrleans.Model.Configuration;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>The option of sources and tables to read existing rows.</summary>
public sealed class BackfillTests
{
    private const string Tables = "tables: [\"public.*\"]";

    [Theory]
    [InlineData("never", BackfillMode.Never, 0)]
    [InlineData("initial", BackfillMode.Initial, 0)]
    [InlineData("when_needed", BackfillMode.WhenNeeded, 0)]
    [InlineData("{ mode: initial, rate: 1000000 }", BackfillMode.Initial, 1_000_000)]
    [InlineData("{ rate: 5 }", BackfillMode.Never, 5)]
    public void A_source_says_it_for_its_tables(string option, BackfillMode mode, int rate)
    {
        var source = Source($"{Tables}\n    backfill: {option}");
        Assert.Equal(new BackfillOptions { Mode = mode, Rate = rate }, source.Backfill);
        Assert.Null(source.Tables[0].Backfill);
    }

    [Fact]
    public void A_table_may_say_everything()
    {
        var options = Table("backfill: { mode: initial, where: \"created_at > now() - interval '1 year'\", columns: [a, \"B c\"], rate: 5000 }")!;
        Assert.Equal((BackfillMode.Initial, "created_at > now() - interval '1 year'", 5000), (options.Mode, options.Where, options.Rate));
        Assert.Equal(["a", "B c"], options.Columns!);
        Assert.Equal(["a"], Table("backfill: { mode: initial, columns: a }")!.Columns!);
    }

    [Theory]
    [InlineData("", null, 0, null)]
    [InlineData("backfill: ", null, 0, null)]
    [InlineData("backfill: never", BackfillMode.Never, 7, null)]
    [InlineData("backfill: initial", BackfillMode.Initial, 7, null)]
    [InlineData("backfill: { where: n > 1 }", BackfillMode.WhenNeeded, 7, "n > 1")]
    [InlineData("backfill: { rate: 0 }", BackfillMode.WhenNeeded, 0, null)]
    [InlineData("backfill: { mode: never }", BackfillMode.Never, 7, null)]
    public void What_a_table_leaves_out_is_as_in_the_source(string option, BackfillMode? mode, int rate, string? where)
    {
        var read = Table(option, "backfill: { mode: when_needed, rate: 7 }");
        Assert.Equal(mode is null ? null : new BackfillOptions { Mode = mode.Value, Rate = rate, Where = where }, read);
    }

    [Theory]
    [InlineData("row", "initial")]
    [InlineData("version", "initial")]
    [InlineData("off", "never")]
    public void Rows_need_a_stored_version(string entities, string mode) => Assert.NotNull(Table($"entities: {entities}, backfill: {mode}"));

    // What the source says for all tables is no mistake of a table that cannot have it.
    [Fact]
    public void A_table_without_stored_entities_may_inherit_it() => Assert.Null(Table("entities: off", "backfill: initial"));

    [Theory]
    [InlineData("backfill: inital", "6:48: sources.shop.tables[0].backfill: 'inital' is not known here; did you mean 'initial'? write 'never' or 'initial' or 'when_needed'")]
    [InlineData("backfill: [initial]", "6:48: sources.shop.tables[0].backfill: expected a word or a mapping, found a list; write 'never', 'initial' or 'when_needed', or for example '{ mode: initial, rate: 5000 }'")]
    [InlineData("backfill: {}", "6:38: sources.shop.tables[0].backfill: is empty; write for example '{ mode: initial, rate: 5000 }', or leave it out")]
    [InlineData("backfill: { mode: always }", "6:56: sources.shop.tables[0].backfill.mode: 'always' is not known here; write 'never' or 'initial' or 'when_needed'")]
    [InlineData("backfill: { mode: [initial] }", "6:56: sources.shop.tables[0].backfill.mode: expected a single value, found a list")]
    [InlineData("backfill: { mode: initial, wher: a }", "6:65: sources.shop.tables[0].backfill.wher: unknown key 'wher'; did you mean 'where'? Known keys: mode, where, columns, rate, chunk_time, parallel, replica")]
    [InlineData("backfill: { mode: initial, where: \"\" }", "6:72: sources.shop.tables[0].backfill.where: is empty; give a value, or leave the key out for its default")]
    [InlineData("backfill: { mode: initial, where: \" \" }", "6:72: sources.shop.tables[0].backfill.where: is empty; write a condition on the table's columns as after WHERE, or leave it out for all rows")]
    [InlineData("backfill: { mode: initial, columns: [] }", "6:74: sources.shop.tables[0].backfill.columns: the list is empty; give at least one item")]
    [InlineData("backfill: { mode: initial, columns: { a: b } }", "6:74: sources.shop.tables[0].backfill.columns: expected a list, found a mapping")]
    [InlineData("backfill: { mode: initial, columns: [a, b, a] }", "6:81: sources.shop.tables[0].backfill.columns[2]: 'a' is given twice; remove one")]
    [InlineData("backfill: { mode: initial, rate: -1 }", "6:71: sources.shop.tables[0].backfill.rate: '-1' is out of range; write a number from 0 to 1000000")]
    [InlineData("backfill: { mode: initial, rate: fast }", "6:71: sources.shop.tables[0].backfill.rate: 'fast' is not a whole number; write one from 0 to 1000000")]
    [InlineData("backfill: { where: a > 1 }", "6:50: sources.shop.tables[0].backfill.where: has no effect, because no rows are read: the mode is 'never'; write 'mode: initial' beside it, or leave it out")]
    [InlineData("backfill: { mode: never, rate: 5 }", "6:63: sources.shop.tables[0].backfill.rate: has no effect, because no rows are read: the mode is 'never'; write 'mode: initial' beside it, or leave it out")]
    [InlineData("backfill: { mode: initial, chunk_time: 2s }", "6:65: sources.shop.tables[0].backfill.chunk_time: belongs to the source, for all its backfills; give it to the source, such as 'backfill: { mode: initial, chunk_time: … }'")]
    [InlineData("backfill: { mode: initial, parallel: 2 }", "6:65: sources.shop.tables[0].backfill.parallel: belongs to the source, for all its backfills; give it to the source, such as 'backfill: { mode: initial, parallel: … }'")]
    [InlineData("backfill: { mode: initial, replica: a }", "6:65: sources.shop.tables[0].backfill.replica: belongs to the source, because all of its tables are read from one server; write it as 'backfill: { replica: … }' beside 'tables'")]
    [InlineData("entities: off, backfill: initial", "6:63: sources.shop.tables[0].backfill: is not possible with 'entities: off': nothing is stored of a row, so it cannot be told whether a row that is read is older than what the log had of it; write 'entities: version' or 'row', or 'backfill: never'")]
    public void What_is_not_possible_is_refused_with_place_and_remedy(string option, string expected) =>
        Assert.Equal($"cdc.yaml:{expected}", Reader.RefusedWith(Tables, $"tables: [{{ table: public.orders, {option} }}]"));

    [Theory]
    [InlineData("never", 1000)]
    [InlineData("{ chunk_time: 50ms }", 50)]
    [InlineData("{ mode: initial, chunk_time: 1m }", 60_000)]
    public void A_source_says_how_long_a_chunk_is_read(string option, int millis) =>
        Assert.Equal(TimeSpan.FromMilliseconds(millis), Source($"{Tables}\n    backfill: {option}").Backfill.ChunkTime);

    [Theory]
    [InlineData("never", 2)]
    [InlineData("{ parallel: 1 }", 1)]
    [InlineData("{ mode: initial, parallel: 16 }", 16)]
    public void A_source_says_how_many_tables_are_read_at_the_same_time(string option, int parallel) =>
        Assert.Equal(parallel, Source($"{Tables}\n    backfill: {option}").Backfill.Parallel);

    [Theory]
    [InlineData("parallel: 0", "parallel: '0' is out of range; write a number from 1 to 16")]
    [InlineData("parallel: 17", "parallel: '17' is out of range; write a number from 1 to 16")]
    [InlineData("parallel: many", "parallel: 'many' is not a whole number; write one from 1 to 16")]
    [InlineData("chunk_time: 49ms", "chunk_time: '49ms' is out of range; write a duration from 50ms to 1m")]
    [InlineData("chunk_time: 61s", "chunk_time: '61s' is out of range; write a duration from 50ms to 1m")]
    [InlineData("chunk_time: 0", "chunk_time: '0' is out of range; write a duration from 50ms to 1m")]
    [InlineData("chunk_time: 2", "chunk_time: '2' is not a duration; write a whole number and a unit (ms, s, m, h or d), from 50ms to 1m")]
    [InlineData("rate: 5, chunktime: 2s", "chunktime: unknown key 'chunktime'; did you mean 'chunk_time'? Known keys: mode, where, columns, rate, chunk_time, parallel")]
    public void What_a_source_cannot_have_is_refused_with_the_remedy(string option, string expected) => Assert.Contains(
        $"sources.shop.backfill.{expected}", Reader.RefusedWith(Tables, $"{Tables}\n    backfill: {{ {option} }}"), StringComparison.Ordinal);

    [Fact]
    public void A_condition_has_a_greatest_length()
    {
        var most = new string('a', BackfillOptions.LongestWhere);
        Assert.Equal(most, Table($"backfill: {{ mode: initial, where: {most} }}")!.Where);
        Assert.Contains(
            "sources.shop.tables[0].backfill.where: has 10001 characters; write a condition of 10000 at most",
            Reader.RefusedWith(Tables, $"tables: [{{ table: public.orders, backfill: {{ mode: initial, where: {most}a }} }}]"), StringComparison.Ordinal);
    }

    private static BackfillOptions? Table(string option, string source = "partitions: 8") =>
        Source($"tables: [{{ table: public.orders{(option.Length > 0 ? ", " : "")}{option} }}]\n    {source}").Tables[0].Backfill;

    private static SourceConfiguration Source(string text) => Reader.ReadWith(Tables, text).Sources["shop"];
}
