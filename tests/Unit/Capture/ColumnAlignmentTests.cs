using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Capture.Postgres.Schemas;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class ColumnAlignmentTests
{
    [Theory]
    [InlineData("a b c", "a b c", "0 1 2")]
    [InlineData("a b", "a b c", "0 1 -1")] // c was added later.
    [InlineData("a b c", "a - c", "0 1 2")] // b was dropped later.
    [InlineData("a c", "a - c", "0 -1 1")] // It was dropped before.
    [InlineData("a b c", "a x c", "0 1 2")] // b was renamed later.
    [InlineData("k", "- - x", "-1 -1 0")]
    [InlineData("a b k", "- - x", "0 1 2")]
    [InlineData("a k", "x y z", "0 1 -1")]
    [InlineData("a c", "a b c", "0 -1 1")] // A column list leaves b out.
    [InlineData("a c", "a =b c", "0 -1 1")] // The log lacks what is generated,
    [InlineData("a b c", "a =b c", "0 1 2")] // or has it.
    [InlineData("a c", "a =b d", "0 -1 1")]
    [InlineData("", "a", "-1")]
    [InlineData("a", "", "")]
    [InlineData("a b", "a", "-1")]
    public void A_column_is_found_whatever_happened_to_it_since(string log, string catalog, string places) =>
        Assert.Equal(places, string.Join(' ', ColumnAlignment.Of(Columns(log), Attributes(catalog))));

    /// <summary>
    /// Columns that are added, dropped and renamed. The relation message has the state of some moment, and the catalog the last state.
    /// </summary>
    [Fact]
    public void Columns_that_exist_at_the_end_are_found_at_any_moment_before() =>
        Gen.Select(Gen.Select(Gen.Int[0, 3], Gen.Int[0, 100]).Array[1, 12], Gen.Int[0, 12]).Sample((steps, moment) =>
        {
            var columns = new List<(string Name, bool Dropped)> { ("k", false) };
            List<(string Name, bool Dropped)>? then = null;
            for (var i = 0; i < steps.Length; i++)
            {
                if (i == moment)
                    then = [.. columns];
                var place = steps[i].Item2 % columns.Count;
                columns = steps[i].Item1 switch
                {
                    0 or 1 => [.. columns, ($"n{i}", false)],
                    2 when place > 0 => [.. columns.Select((c, at) => at == place ? (c.Name, true) : c)],
                    // Only the key is renamed: if two columns were renamed, nobody could know which is which.
                    _ => [($"k{i}", false), .. columns.Skip(1)],
                };
            }

            then ??= [.. columns];
            var log = then.Where(c => !c.Dropped).ToList();
            var places = ColumnAlignment.Of(
                [.. log.Select(c => new RelationColumn(false, c.Name, 23, -1))],
                [.. columns.Select((c, i) => new CatalogAttribute(i + 1, c.Dropped ? "..dropped.." : c.Name, c.Dropped ? 0u : 23u, false, null))]);
            Assert.Equal(0, places[0]);
            for (var at = 1; at < then.Count; at++)
            {
                if (!columns[at].Dropped)
                    Assert.Equal(log.FindIndex(c => c.Name == columns[at].Name), places[at]);
            }
        });

    private static RelationColumn[] Columns(string names) =>
        [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => new RelationColumn(false, n, 23, -1))];

    private static CatalogAttribute[] Attributes(string names) =>
        [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((n, i) => new CatalogAttribute(i + 1, n.TrimStart('='), n == "-" ? 0u : 23u, false, null, n[0] == '='))];
}
