using System.Globalization;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Schemas;
using Xunit;

namespace CdcOrleans.Unit.Capture;

/// <summary>A column is written as name:type, with a star where it is part of the identity, and a bang where it is NOT NULL.</summary>
public sealed class UnseenAlterationTests
{
    private const int Mood = 20_000;
    private static readonly CatalogType Integer = new(23, -1, "integer", null);

    [Theory]
    [InlineData('d', "a:23 b*:23", "b", "b")]
    [InlineData('d', "a*:23 b:23", "b", "a")] // Another primary key, of one column.
    [InlineData('d', "a*:23 b*:23 new:25", "b,a", "b,a")]
    [InlineData('i', "a*:23 b*:23", "b,a", "b,a")]
    [InlineData('i', "a*:23 c*:23", "b,a", "a,c")] // An identity by index is in the order of the columns.
    [InlineData('d', "first*:23 b*:23", "b,a", "b,first")] // The same index, so the same columns.
    [InlineData('d', "b*:23 a*:23", "b,a", "b,a")] // Dropped and added again under this name, or renamed: the names are those of the key.
    [InlineData('f', "a:23 b:23 new:25", "b,a", "b,a")]
    [InlineData('n', "a:23 b:23", "b", "b")]
    [InlineData('f', "a:23 b:23", "", "")]
    public void A_key_that_is_certain_is_known(char identity, string columns, string before, string key) =>
        Assert.Equal(key, Key(Relation(identity, columns), Before("a:23 b:23 c:23", before)));

    [Theory]
    [InlineData('d', "a*:23 c*:23", "b", true)] // A new primary key of several columns, whose order nothing says.
    [InlineData('d', "first*:23 b*:23", "b,a", false)] // Perhaps another index.
    [InlineData('f', "first:23 b:23", "b,a", true)]
    [InlineData('n', "b:23", "b,a", true)]
    public void A_key_that_is_not_certain_is_waited_for(char identity, string columns, string before, bool keepsKey) =>
        Assert.Null(UnseenAlteration.Facts(Relation(identity, columns), Before("a:23 b:23 c:23", before), keepsKey));

    [Theory]
    [InlineData('d', "a*:23 b:23", "a")]
    [InlineData('d', "a*:23 b*:23", null)]
    [InlineData('f', "a:23", null)]
    [InlineData('d', "a:23", null)]
    public void A_new_table_is_known_by_its_identity(char identity, string columns, string? key) =>
        Assert.Equal(key, Key(Relation(identity, columns), Before("", "")));

    [Fact]
    public void A_unique_index_stands_in_for_a_key_where_the_old_rows_are_whole()
    {
        var before = Before("a:23! b:23!", "") with { UniqueIndex = [1] };
        Assert.Equal("b", Key(Relation('f', "a:23 b:23"), before));
        Assert.Equal("b", Key(Relation('d', "a:23 b:23 c:23"), before));

        // Of partitions that do not have them whole, it does not.
        Assert.Equal("", Key(Relation('f', "a:23 b:23"), before with { PartitionIdentities = [ReplicaIdentity.Default, ReplicaIdentity.Full] }));
    }

    [Fact]
    public void Columns_have_no_numbers_and_are_as_they_were_where_they_are_the_same()
    {
        var relation = Relation('d', "id*:23 a:23 b:25 new:23");
        var facts = UnseenAlteration.Facts(relation, Before("id:23! a:23! b:23! gone:23!", "id"), keepsPrimaryKey: true)!;
        var shape = RelationShape.Of(relation, facts);
        Assert.Equal([0, 0, 0, 0], shape.Columns.Select(c => c.Number));
        Assert.Equal([false, false, true, true], shape.Columns.Select(c => c.Nullable));
        Assert.Null(facts.Origin);
    }

    [Fact]
    public void An_identity_with_a_generated_column_that_the_log_lacks_is_no_key()
    {
        var before = Before("a:23! b:23!", "a,b");
        before = before with { Attributes = [before.Attributes[0], before.Attributes[1] with { IsGenerated = true }], Identity = [1] };
        var relation = Relation('d', "a*:23 new:23");
        Assert.True(RelationShape.IdentifiesInPart(relation, UnseenAlteration.Facts(relation, before, keepsPrimaryKey: true)!));
    }

    [Fact]
    public void A_new_type_has_the_name_that_the_log_gives_it_unless_more_than_a_name_is_needed()
    {
        var relation = Relation('d', $"a*:23 feels:{Mood}");
        var before = Before("a:23", "a", new CatalogType(Mood, -1, "???", null, IsGone: true));
        Assert.Null(UnseenAlteration.Facts(relation, before, keepsPrimaryKey: true));
        Assert.Equal("public.mood", Named("public", "mood"));
        Assert.Equal("\"My\".\"mood \"\"x\"\"\"", Named("My", "mood \"x\""));

        // An array, and a domain of a built-in type.
        Assert.Null(Named("public", "_mood"));
        Assert.Null(Named("", "numeric"));
        Assert.Null(UnseenAlteration.Facts(
            relation, Before("a:23", "a", new CatalogType(Mood, -1, "public.mood[]", new ElementSchema(1, -1, "???", ','))), keepsPrimaryKey: true));

        string? Named(string schema, string name) => UnseenAlteration.Facts(
            relation with { TypeNames = new Dictionary<uint, TypeName> { [Mood] = new(schema, name) } }, before, keepsPrimaryKey: true)?.Types[1].Name;
    }

    private static string? Key(RelationMessage relation, CatalogFacts before) =>
        UnseenAlteration.Facts(relation, before, keepsPrimaryKey: true) is { } facts
            ? string.Join(',', RelationShape.Of(relation, facts).Key.Select(k => relation.Columns[k].Name))
            : null;

    private static RelationMessage Relation(char identity, string columns) => new()
    {
        Oid = 1, Schema = "public", Name = "t", Identity = (ReplicaIdentity)identity,
        Columns = [.. columns.Split(' ').Select(c => c.Split(':')).Select(c => new RelationColumn(c[0].EndsWith('*'), c[0].TrimEnd('*'), uint.Parse(c[1], CultureInfo.InvariantCulture), -1))],
    };

    private static CatalogFacts Before(string columns, string key, params CatalogType[] last)
    {
        List<CatalogAttribute> attributes =
        [
            .. columns.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(c => c.Split(':'))
                .Select((c, i) => new CatalogAttribute(i + 1, c[0], uint.Parse(c[1].TrimEnd('!'), CultureInfo.InvariantCulture), c[1].EndsWith('!'), null)),
        ];
        return new CatalogFacts
        {
            Attributes = attributes,
            PrimaryKey = [.. key.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(k => attributes.FindIndex(a => a.Name == k))],
            UniqueIndex = [],
            Types = [Integer, .. last, Integer, Integer, Integer],
        };
    }
}
