using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Xunit;

namespace CdcOrleans.Unit.Capture;

/// <summary>What is known of types that the catalog does not have any more.</summary>
public sealed class DroppedTypesTests
{
    private const uint Gone = 16500;
    private static readonly ElementSchema Mood = new(16499, -1, "mood", ',');

    [Fact]
    public void Types_that_are_there_stay()
    {
        CatalogType[] types = [new(23, -1, "integer", null)];
        Assert.Same(types, DroppedTypes.Completed(types, Relation("a"), []));
    }

    [Fact]
    public void The_history_has_a_type_of_the_same_number()
    {
        var known = Record(new ColumnSchema { Name = "other", TypeOid = Gone, TypeModifier = -1, TypeName = "mood[]", Element = Mood });
        var type = Assert.Single(DroppedTypes.Completed([new(Gone, -1, "???", null, IsGone: true)], Relation("a"), [known]));
        Assert.Equal(new CatalogType(Gone, -1, "mood[]", Mood), type);
    }

    [Fact]
    public void The_history_has_what_a_domain_made_of_its_base_type()
    {
        var known = Record(new ColumnSchema { Name = "a", TypeOid = 1700, TypeModifier = 393222, TypeName = "numeric(6,2)" });
        var type = Assert.Single(DroppedTypes.Completed([new(1700, -1, "numeric", null, IsGone: true)], Relation("a"), [known]));
        Assert.Equal(new CatalogType(1700, 393222, "numeric(6,2)", null), type);
        type = Assert.Single(DroppedTypes.Completed([new(1700, -1, "numeric", null, IsGone: true)], Relation("b"), [known]));
        Assert.Equal((1700u, -1, "numeric"), (type.Oid, type.Modifier, type.Name));
    }

    [Fact]
    public void The_newest_record_counts()
    {
        RelationRecord[] history =
        [
            Record(new ColumnSchema { Name = "a", TypeOid = 1083, TypeModifier = 0, TypeName = "time(0)" }),
            Record(new ColumnSchema { Name = "a", TypeOid = 1083, TypeModifier = 3, TypeName = "time(3)" }),
        ];
        Assert.Equal(3, Assert.Single(DroppedTypes.Completed([new(1083, -1, "time", null, IsGone: true)], Relation("a"), history)).Modifier);
    }

    [Theory]
    [InlineData("", "_mood", "_mood", "mood")]
    [InlineData("public", "_mood", "public._mood", "public.mood")]
    [InlineData("app", "_mood", "app._mood", "app.mood")]
    [InlineData("app", "mood", "app.mood", null)]
    [InlineData("public", "_", "public._", null)]
    public void Else_the_name_says_whether_it_is_an_array(string schema, string name, string text, string? element)
    {
        var relation = Relation("a") with { TypeNames = new Dictionary<uint, TypeName> { [Gone] = new(schema, name) } };
        var type = Assert.Single(DroppedTypes.Completed([new(Gone, -1, "???", null, IsGone: true)], relation, []));
        Assert.Equal((text, element), (type.Name, type.Element?.TypeName));
    }

    private static RelationMessage Relation(string column) => new()
    {
        Oid = 1, Schema = "public", Name = "t", Identity = ReplicaIdentity.Default, Columns = [new RelationColumn(false, column, Gone, -1)],
    };

    private static RelationRecord Record(ColumnSchema column) => new(
        new ChangeVersion(new Lsn(1), 0),
        new TableSchema { TableId = 1, Version = 1, Schema = "public", Name = "t", Columns = [column], Key = [] }, EntityMode.Row, []);
}
