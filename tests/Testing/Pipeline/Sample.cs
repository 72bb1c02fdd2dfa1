using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>Small rows, tables and changes to test with.</summary>
public static class Sample
{
    /// <summary>Stands for a TOAST value that the log does not carry.</summary>
    public const string Unchanged = "\u0001unchanged";

    public static readonly TableSchema Orders = Table("orders", 1, "id", "status", "note");

    public static TableSchema Table(string name, int version, params string[] columns) => new()
    {
        TableId = name.Length,
        Version = version,
        Schema = "public",
        Name = name,
        Columns = [.. columns.Select((c, i) => new ColumnSchema { Name = c, Number = i + 1, TypeOid = 25, TypeModifier = -1, TypeName = "text" })],
        Key = [0],
    };

    public static RowImage Row(params string?[] values) => Row(values.Select(v => v is null ? null : Encoding.UTF8.GetBytes(v)).ToArray());

    public static RowImage Row(params byte[]?[] values)
    {
        var tuple = new byte[RowImageWriter.EmptySize + values.Sum(v => RowImageWriter.SizeOf(KindOf(v), v?.Length ?? 0))];
        var writer = new RowImageWriter(tuple, values.Length);
        foreach (var value in values)
            writer.Write(KindOf(value), KindOf(value) == ColumnKind.Text ? value : default);
        return new RowImage(tuple);
    }

    public static string?[] Values(RowImage row)
    {
        var values = new List<string?>();
        foreach (var column in row)
        {
            values.Add(column.Kind switch
            {
                ColumnKind.Null => null,
                ColumnKind.Unchanged => Unchanged,
                _ => Encoding.UTF8.GetString(column.Text),
            });
        }

        return [.. values];
    }

    public static RowChange Change(
        ChangeOperation operation, string key, ChangeVersion version, RowImage after = default, RowImage before = default,
        bool keyOnly = false, TableSchema? table = null) => new()
        {
            Operation = operation,
            Table = table ?? Orders,
            Entity = new EntityKey((table ?? Orders).FullName, key),
            Version = version,
            Lsn = version.CommitLsn,
            Transaction = new SourceTransaction { CommitLsn = version.CommitLsn, Xid = 7, CommitMicros = 1_700_000_000_000_000 },
            Before = before,
            BeforeIsKeyOnly = keyOnly,
            After = after,
        };

    public static ChangeVersion Version(long commit, long ordinal = 1) => new(new Lsn((ulong)commit), ordinal);

    private static ColumnKind KindOf(byte[]? value) =>
        value is null ? ColumnKind.Null : value.AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(Unchanged)) ? ColumnKind.Unchanged : ColumnKind.Text;
}
