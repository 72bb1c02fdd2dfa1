using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Capture.Postgres.Schemas;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class RelationShapeTests
{
    [Fact]
    public void The_primary_key_gives_the_order_where_it_is_the_identity()
    {
        var shape = RelationShape.Of(Relation(ReplicaIdentity.Default, true, false, true), Catalog("c", "a"));
        Assert.Equal([2, 0], shape.Key);
        Assert.Equal([false, true, false], shape.Columns.Select(c => c.Nullable));
    }

    [Theory]
    [InlineData('i')]
    [InlineData('d')]
    public void Another_identity_is_the_key_in_column_order(char identity) =>
        Assert.Equal([0, 1], RelationShape.Of(Relation((ReplicaIdentity)identity, true, true, false), Catalog("c")).Key);

    [Fact]
    public void With_whole_old_rows_the_primary_key_is_the_key() =>
        Assert.Equal([1], RelationShape.Of(Relation(ReplicaIdentity.Full, true, true, true), Catalog("b")).Key);

    [Theory]
    [InlineData('f', true)]
    [InlineData('n', false)]
    [InlineData('d', false)]
    public void Otherwise_there_is_no_key(char identity, bool flagged) =>
        Assert.Empty(RelationShape.Of(Relation((ReplicaIdentity)identity, flagged, flagged, flagged), Catalog()).Key);

    [Theory]
    [InlineData('f', true, false)]
    [InlineData('n', false, true)]
    [InlineData('d', false, true)]
    public void A_unique_index_stands_in_for_a_key(char identity, bool flagged, bool insertsOnly)
    {
        var shape = RelationShape.Of(Relation((ReplicaIdentity)identity, flagged, flagged, flagged), Catalog() with { UniqueIndex = [2, 1] });
        Assert.Equal([2, 1], shape.Key);
        Assert.Equal(insertsOnly, shape.InsertsOnly);
    }

    [Fact]
    public void Without_an_identity_the_primary_key_is_still_the_key_of_what_is_inserted()
    {
        var shape = RelationShape.Of(Relation(ReplicaIdentity.Nothing, false, false, false), Catalog("b"));
        Assert.Equal([1], shape.Key);
        Assert.True(shape.InsertsOnly);
        Assert.Equal([null, "7", null], shape.Columns.Select(c => c.Default));
    }

    [Fact]
    public void A_table_that_is_gone_and_was_altered_since_it_was_last_seen_keeps_its_key()
    {
        var last = RelationShape.Of(Relation(ReplicaIdentity.Default, true, false, true), Catalog("c", "a"));
        Assert.Equal([2, 0], RelationShape.Of(Relation(ReplicaIdentity.Default, true, false, true, false), Catalog(), last).Key);
        Assert.Equal([2, 0], RelationShape.Of(Relation(ReplicaIdentity.Full, true, true, true, true), Catalog(), last).Key);
        Assert.Equal([0, 1], RelationShape.Of(Relation(ReplicaIdentity.Default, true, true, false, false), Catalog(), last).Key);
        Assert.Empty(RelationShape.Of(Relation(ReplicaIdentity.Full, true, true), Catalog(), last).Key);
    }

    [Fact]
    public void A_known_shape_fits_a_relation_of_the_same_columns_and_identity()
    {
        var known = RelationShape.Of(Relation(ReplicaIdentity.Default, true, false), Catalog("a"));
        Assert.True(RelationShape.Fits(known, Relation(ReplicaIdentity.Default, true, false), Catalog()));
        Assert.True(RelationShape.Fits(known, Relation(ReplicaIdentity.Full, true, true), Catalog()));
        Assert.False(RelationShape.Fits(known, Relation(ReplicaIdentity.Default, false, true), Catalog()));
        Assert.False(RelationShape.Fits(known, Relation(ReplicaIdentity.Default, true, false, false), Catalog()));
    }

    [Fact]
    public void A_primary_key_that_the_log_does_not_know_yet_is_not_used()
    {
        Assert.Equal([0], RelationShape.Of(Relation(ReplicaIdentity.Default, true, false, false), Catalog("later")).Key);
        Assert.Empty(RelationShape.Of(Relation(ReplicaIdentity.Full, true, true, true), Catalog("a", "later")).Key);
    }

    /// <summary>Catalogs: <c>-</c> is dropped, <c>=</c> generated, <c>!</c> settled.</summary>
    [Theory]
    [InlineData("a b", "a b", "1 2")]
    [InlineData("a b", "a - b", "1 0")] // The dropped one may have been b.
    [InlineData("a b", "a !- b", "1 3")]
    [InlineData("a b", "a - !b", "1 3")] // A name means one column.
    [InlineData("a b c", "a - c", "1 2 3")]
    [InlineData("a b", "a x b", "1 0")]
    [InlineData("a b", "a !x b", "1 3")] // A column list leaves x out.
    [InlineData("a b", "a =x b", "1 3")]
    public void A_column_has_a_number_where_it_can_be_no_other(string log, string catalog, string numbers)
    {
        var shape = RelationShape.Of(Named(log), Attributes(catalog));
        Assert.Equal(numbers, string.Join(' ', shape.Columns.Select(c => c.Number)));
    }

    [Fact]
    public void A_key_of_which_the_log_lacks_a_generated_column_is_none()
    {
        var relation = Named("a b") with { Columns = [new(true, "a", 23, -1), new(false, "b", 23, -1)] };
        var catalog = Attributes("a =x b") with { PrimaryKey = [0, 1], Identity = [1] };
        Assert.Empty(RelationShape.Of(relation, catalog).Key);
        Assert.False(RelationShape.Of(relation, catalog).InsertsOnly);
        Assert.True(RelationShape.IdentifiesInPart(relation, catalog));

        var whole = Named("a x") with { Columns = [new(true, "a", 23, -1), new(true, "x", 23, -1)] };
        Assert.Equal([0, 1], RelationShape.Of(whole, catalog).Key);
    }

    [Fact]
    public void A_key_of_which_a_column_list_leaves_out_a_part_is_none()
    {
        var relation = Named("a c") with { Identity = ReplicaIdentity.Default, Columns = [new(true, "a", 23, -1), new(false, "c", 23, -1)] };
        Assert.Empty(RelationShape.Of(relation, Attributes("a !b c") with { PrimaryKey = [0, 1], Identity = [0, 1] }).Key);

        // A column that is newer than the log has joined the key later.
        Assert.Equal([0], RelationShape.Of(relation, Attributes("a c b") with { PrimaryKey = [0, 2], Identity = [0, 2] }).Key);
    }

    [Theory]
    [InlineData('f', "f", false, "1")]
    [InlineData('f', "fd", true, "")]
    [InlineData('f', "fi", true, "")]
    [InlineData('d', "d", false, "0")]
    [InlineData('d', "f", false, "0")]
    [InlineData('d', "i", false, "")]
    [InlineData('i', "i", false, "0")]
    public void Old_rows_of_a_partitioned_table_are_as_its_partitions_say(char identity, string partitions, bool keyOnly, string key)
    {
        var relation = Relation((ReplicaIdentity)identity, true, identity == 'f', identity == 'f');
        var catalog = Catalog() with { UniqueIndex = [1], PartitionIdentities = [.. partitions.Select(p => (ReplicaIdentity)p)] };
        Assert.Equal(keyOnly, RelationShape.OldRowsAreKeyOnly(relation, catalog));
        Assert.Equal(key, string.Join(' ', RelationShape.Of(relation, catalog).Key));
    }

    private static RelationMessage Named(string names) => Relation(ReplicaIdentity.Default) with
    {
        Columns = [.. names.Split(' ').Select(n => new RelationColumn(false, n, 23, -1))],
    };

    private static CatalogFacts Attributes(string names) => Catalog() with
    {
        Attributes =
        [
            .. names.Split(' ').Select((n, i) =>
                new CatalogAttribute(i + 1, n.Trim('!', '='), n.EndsWith('-') ? 0u : 23u, false, null, n.Contains('='), n.Contains('!'))),
        ],
    };

    // Of the log then and now, and of the catalog by now: columns in their order, "-" one that is dropped, "a>b" one renamed since.
    [Theory]
    [InlineData("a b c", "a b c", "a b c", "1 2 3")]
    [InlineData("a b c", "a c", "a - c", "1 3")]
    [InlineData("a b c", "a b c", "a - c", "1 2 3")]
    [InlineData("a b c", "a c b", "a - c b", "1 3 4")]
    [InlineData("a b c", "a b c", "a - - b c", "1 0 0")]
    [InlineData("a b c", "a x c", "a x c", "1 2 3")]
    [InlineData("a b c", "a b c", "a x c", "1 2 3")]
    [InlineData("a b c d", "a b c d", "a - - d", "1 2 3 4")]
    [InlineData("a b c d", "a c d", "a - - d", "1 0 4")]
    [InlineData("a b c", "a b c d", "a b c d", "1 2 3 4")]
    [InlineData("a b c", "a c d e", "a - c d x", "1 3 4 0")]
    [InlineData("a - c", "a c d", "a - c d", "1 3 4")]
    [InlineData("a - c", "a c d e", "a - c x e", "1 3 4 5")]
    [InlineData("a - c", "a c d", "a - c - d", "1 3 0")]
    [InlineData("a b", "b a", "a b", "0 0")]
    [InlineData("a b c", "b c", "- b c", "2 3")]
    public void A_column_keeps_its_number_as_long_as_it_can_be_told(string before, string now, string catalog, string numbers)
    {
        var known = RelationShape.Of(Named(before.Replace("- ", "", StringComparison.Ordinal)), Facts(before, areSettled: true));
        var shape = RelationShape.Of(Named(now), Facts(catalog, areSettled: false), null, known);
        Assert.Equal(numbers, string.Join(' ', shape.Columns.Select(c => c.Number)));

        static RelationMessage Named(string names) => new()
        {
            Oid = 1, Schema = "public", Name = "t", Identity = ReplicaIdentity.Full, Columns = [.. names.Split(' ').Select(n => new RelationColumn(true, n, 23, -1))],
        };

        static CatalogFacts Facts(string names, bool areSettled) => new()
        {
            Attributes = [.. names.Split(' ').Select((n, i) => new CatalogAttribute(i + 1, n, n == "-" ? 0u : 23u, false, null, IsSettled: areSettled))],
            PrimaryKey = [], UniqueIndex = [], Types = [.. Enumerable.Repeat(new CatalogType(23, -1, "integer", null), 9)],
        };
    }

    private static RelationMessage Relation(ReplicaIdentity identity, params bool[] flags) => new()
    {
        Oid = 1, Schema = "public", Name = "t", Identity = identity,
        Columns = [.. flags.Select((flag, i) => new RelationColumn(flag, ((char)('a' + i)).ToString(), 23, -1))],
    };

    // Columns a, b and c, and those that came later.
    private static CatalogFacts Catalog(params string[] key)
    {
        List<string> names = ["a", "b", "c", .. key.Where(k => k.Length > 1)];
        return new CatalogFacts
        {
            Attributes = [.. names.Select((n, i) => new CatalogAttribute(i + 1, n, 23, key.Contains(n), n == "b" ? "7" : null))],
            PrimaryKey = [.. key.Select(k => names.IndexOf(k))],
            UniqueIndex = [],
            Types = [.. Enumerable.Repeat(new CatalogType(23, -1, "integer", null), 4)],
        };
    }
}
