using CdcOrleans.Model.Schemas;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class ColumnMatchTests
{
    /// <summary>Columns as <c>name:number:type:modifier</c>; the place of the first shape's first column in the other, as values, keys and rows see it.</summary>
    [Theory]
    [InlineData("a:1:25:-1", "x:2:25:-1 b:1:25:-1", true, "1 1 1")] // Renamed.
    [InlineData("a:1:25:-1", "a:2:25:-1", true, "-1 -1 -1")] // Another that got its name.
    [InlineData("a:0:25:-1", "a:2:25:-1", true, "-1 0 0")] // Nobody knows its number.
    [InlineData("a:1:25:-1", "b:1:25:-1", false, "-1 -1 -1")] // Numbers of another table.
    [InlineData("a:1:25:-1", "a:2:25:-1", false, "-1 0 0")]
    [InlineData("a:1:1043:14", "a:1:1043:24", true, "-1 0 0")] // A longer one.
    [InlineData("a:1:23:-1", "a:1:25:-1", true, "-1 -1 0")] // One of another type.
    public void A_column_is_found(string from, string to, bool isSameTable, string places)
    {
        var (table, other) = (Table(1, 7, from), Table(2, isSameTable ? 7u : 8u, to));
        Assert.Equal(places, string.Join(' ', new[] { ColumnMatch.ForValues, ColumnMatch.ForKeys, ColumnMatch.ForRows }.Select(m => m.PlaceOf(table, 0, other))));
    }

    [Fact]
    public void In_the_same_shape_it_is_where_it_is() => Assert.Equal(0, ColumnMatch.ForValues.PlaceOf(Table(1, 7, "a:0:25:-1"), 0, Table(1, 7, "a:0:25:-1")));

    [Theory]
    [InlineData("a:1:25:-1 b:2:25:-1", "a:1:25:-1 b:2:25:-1", true)]
    [InlineData("a:1:25:-1 b:2:25:-1", "x:1:25:-1 y:2:25:-1", true)]
    [InlineData("a:1:25:-1 b:2:25:-1", "b:2:25:-1 a:1:25:-1", false)] // In another order.
    [InlineData("a:1:25:-1 b:2:25:-1", "a:1:25:-1", false)]
    [InlineData("a:1:25:-1", "a:1:23:-1", false)]
    public void Keys_are_the_same_column_by_column(string left, string right, bool isSame) =>
        Assert.Equal(isSame, ColumnMatch.ForKeys.HaveSameKey(Table(1, 7, left), Table(2, 7, right)));

    private static TableSchema Table(int version, uint oid, string columns)
    {
        string[][] parts = [.. columns.Split(' ').Select(c => c.Split(':'))];
        return new TableSchema
        {
            TableId = 1, Version = version, Schema = "public", Name = "t", Key = [.. Enumerable.Range(0, parts.Length)], RelationOid = oid,
            Columns = [.. parts.Select(p => new ColumnSchema { Name = p[0], Number = Parse(p[1]), TypeOid = (uint)Parse(p[2]), TypeModifier = Parse(p[3]), TypeName = "t" })],
        };
    }

    private static int Parse(string number) => int.Parse(number, System.Globalization.CultureInfo.InvariantCulture);
}
