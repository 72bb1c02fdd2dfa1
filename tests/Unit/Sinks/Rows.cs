using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing.Pipeline;

namespace CdcOrleans.Unit.Sinks;

/// <summary>Tables, images and changes as tests write them.</summary>
internal static class Rows
{
    public const string Unchanged = Sample.Unchanged;

    public static TableSchema Table(params (string Name, uint Oid, int Modifier)[] columns) => Table(1, [0], columns);

    public static TableSchema Table(int version, int[] key, params (string Name, uint Oid, int Modifier)[] columns) => new()
    {
        TableId = 7,
        Version = version,
        Schema = "public",
        Name = "orders",
        Columns = [.. columns.Select((c, i) => new ColumnSchema { Name = c.Name, TypeOid = c.Oid, TypeModifier = c.Modifier, TypeName = "t", Nullable = i > 0 })],
        Key = key,
    };

    public static RowImage Image(params string?[] values) => Sample.Row(values);

    public static RowImage Image(params byte[]?[] values) => Sample.Row(values);

    public static RowChange Change(
        ChangeOperation operation, TableSchema table, RowImage before = default, RowImage after = default, bool keyOnly = false,
        string key = "1", ulong previousCommit = 27023096, string? origin = null) => new()
        {
            Operation = operation,
            Table = table,
            Entity = new EntityKey(table.FullName, key),
            Version = new ChangeVersion(new Lsn(0x16_B374D848), 3),
            Lsn = new Lsn(27030920),
            Transaction = new SourceTransaction
            {
                CommitLsn = new Lsn(0x16_B374D848),
                PreviousCommitEnd = new Lsn(previousCommit),
                Xid = 763,
                CommitMicros = 1795383974335174,
                Origin = origin,
            },
            Before = before,
            BeforeIsKeyOnly = keyOnly,
            After = after,
        };

    public static CompletedChange Complete(RowChange change, RowImage? before = null, TableSchema? beforeTable = null) => new()
    {
        Change = change,
        Source = "shop",
        Database = "shopdb",
        Topic = "shop.public.orders",
        Values = ValueOptions.Default,
        Tombstones = true,
        Origin = EventOrigin.Stream,
        Before = before ?? change.Before,
        BeforeTable = beforeTable ?? ((before ?? change.Before).IsPresent ? change.Table : null),
        After = change.After,
    };
}
