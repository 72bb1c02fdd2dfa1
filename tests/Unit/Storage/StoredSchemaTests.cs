using CdcOrleans.Model.Schemas;
using CdcOrleans.Storage.Postgres;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Storage;

public class StoredSchemaTests
{
    private static readonly Gen<TableSchema> Schemas =
        from name in Gen.String[1, 5]
        from columns in Gen.Select(Gen.String[1, 5], Gen.UInt, Gen.Int, Gen.String[0, 5], Gen.Bool).Array[0, 4]
        from key in Gen.Int[0, 3].Array[0, 2]
        select Schema(name, columns.Select(c => Column(c.Item1, c.Item2, c.Item3, c.Item4, c.Item5)), key);

    [Fact]
    public void What_was_written_is_read_again() => Schemas.Sample(schema =>
    {
        var read = StoredSchema.Read(3, 9, StoredSchema.Write(schema));
        return StoredSchema.SameSchema(read, schema) && read is { TableId: 3, Version: 9 };
    });

    public static TheoryData<TableSchema> Others => new(
        Schema("u", [Column("id")], [0]),
        Schema("t", [Column("no")], [0]),
        Schema("t", [Column("id", oid: 23)], [0]),
        Schema("t", [Column("id", modifier: 8)], [0]),
        Schema("t", [Column("id", type: "int")], [0]),
        Schema("t", [Column("id", nullable: true)], [0]),
        Schema("t", [Column("id")], []),
        Schema("t", [Column("id"), Column("more")], [0]));

    [Theory]
    [MemberData(nameof(Others))]
    public void Any_difference_makes_another_shape(TableSchema other)
    {
        var schema = Schema("t", [Column("id")], [0]);
        Assert.True(StoredSchema.SameSchema(schema, Schema("t", [Column("id")], [0])));
        Assert.False(StoredSchema.SameSchema(schema, other));
    }

    private static TableSchema Schema(string name, IEnumerable<ColumnSchema> columns, int[] key) =>
        new() { TableId = 0, Version = 0, Schema = "public", Name = name, Columns = [.. columns], Key = key };

    private static ColumnSchema Column(string name, uint oid = 20, int modifier = -1, string type = "bigint", bool nullable = false) =>
        new() { Name = name, TypeOid = oid, TypeModifier = modifier, TypeName = type, Nullable = nullable };
}
