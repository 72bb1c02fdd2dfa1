using System.Security.Cryptography;
using System.Text;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// What the rows of a table are made of when a chunk is read. While it stays the same, rows have changed with events only, and the place of
/// a chunk means the same rows. If it has changed, what was read before may be wrong, without an event that tells it. Its text has no spaces.
/// </summary>
/// <param name="Files">Stands for the files of the table and of its partitions (<see cref="Model.Schemas.RowsOrigin.Files"/>).</param>
/// <param name="Publication">Stands for what the publication publishes of it (<see cref="Model.Schemas.RowsOrigin.Publication"/>).</param>
/// <param name="Key">Stands for its key, and for the order of the key.</param>
internal sealed record ChunkForm(string Files, string Publication, string Key)
{
    /// <summary>Returns the form of a table.</summary>
    public static ChunkForm Of(ChunkTable table)
    {
        var columns = table.Table.Key.Select(k => table.Table.Columns[k]).Select(c => $"{c.Number} {c.TypeOid}");
        var order = table.Key.Select(k => $"{table.Table.Columns[k.Place].Number} {k.Type} {k.Collation} {k.Operators}");
        var key = $"{table.Order} {table.Table.InsertsOnly}\n{string.Join(',', columns)}\n{string.Join(',', order)}";
        return new ChunkForm(table.Origin.Files, table.Origin.Publication, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)).AsSpan(0, 16)));
    }

    /// <summary>Returns what has changed since an earlier form, as a part of a sentence; null when nothing has.</summary>
    public string? ChangeSince(string earlier)
    {
        var parts = earlier.Split('.');
        if (parts.Length != 3 || parts[2] != Key)
            return "its key was altered";
        if (parts[0] != Files)
            return "it was truncated or its rows were rewritten, or a partition was added, removed or truncated";
        return parts[1] == Publication ? null : "the publication was altered";
    }

    /// <inheritdoc />
    public override string ToString() => $"{Files}.{Publication}.{Key}";
}
