using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Backfills;

/// <summary>Makes rows of which only the key is known, as the log has them for a deletion.</summary>
internal static class KeyRows
{
    /// <summary>Returns a row with the columns of a key, and NULL in the others.</summary>
    public static RowImage Of(TableSchema table, string key)
    {
        var values = EntityKeyText.Split(key);
        var columns = new byte[]?[table.Columns.Length];
        for (var i = 0; i < table.Key.Length; i++)
            columns[table.Key[i]] = values[i] is { } value ? Encoding.UTF8.GetBytes(value) : null;
        var tuple = new byte[RowImageWriter.EmptySize + columns.Sum(c => RowImageWriter.SizeOf(KindOf(c), c?.Length ?? 0))];
        var writer = new RowImageWriter(tuple, columns.Length);
        foreach (var column in columns)
            writer.Write(KindOf(column), column);
        return new RowImage(tuple);
    }

    private static ColumnKind KindOf(byte[]? text) => text is null ? ColumnKind.Null : ColumnKind.Text;
}
