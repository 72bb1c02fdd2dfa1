using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;
using static CdcOrleans.Storage.Postgres.SqlValues;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// The journal rows of a checkpoint in the order of tables and versions, in slices for one statement each; a slice has rows of one table.
/// Because of the order, a checkpoint of a stale owner and one of its successor wait for each other instead of causing a deadlock.
/// </summary>
internal static class JournalSlices
{
    /// <summary>Approximate bytes of a row without images.</summary>
    private const long SmallRow = 160;

    // The other row of a change of the key only names the other key. One that is too large is left out.
    private const int StoredOther = 64 << 20;

    private const string Append = "SELECT cdc.append_journal($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

    /// <summary>Makes the slices.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="mostOfOne">Most bytes of the images of one row. Those of a larger row are left out, those before the change first.</param>
    public static IEnumerable<Slice<JournalRow>> Of(Checkpoint checkpoint, int mostOfOne)
    {
        var rows = new JournalRow[checkpoint.Partitions.Sum(p => p.Journal.Count)];
        if (rows.Length == 0)
            yield break;
        var count = 0;
        foreach (var partition in checkpoint.Partitions)
        {
            foreach (var row in partition.Journal)
                rows[count++] = Fitting(row, mostOfOne);
        }

        rows.AsSpan().Sort(Compare);
        for (var start = 0; start < rows.Length;)
        {
            var end = start + 1;
            while (end < rows.Length && rows[end].Change.Table.TableId == rows[start].Change.Table.TableId)
                end++;
            foreach (var slice in Slices.Of(new ArraySegment<JournalRow>(rows, start, end - start), SizeOf))
                yield return slice;
            start = end;
        }
    }

    /// <summary>Appends a slice to the journal of its table.</summary>
    public static NpgsqlBatchCommand Statement(ArraySegment<JournalRow> slice) => SqlValues.Statement(
        Append,
        new NpgsqlParameter<int> { TypedValue = slice[0].Change.Table.TableId },
        Bigints(slice, r => Stored(r.Change.Version.CommitLsn)),
        Bigints(slice, r => r.Change.Version.Ordinal),
        Bigints(slice, r => r.Change.Transaction.CommitMicros),
        Bigints(slice, r => r.Change.Transaction.Xid),
        Bigints(slice, r => Stored(r.Change.Lsn)),
        Bigints(slice, r => Stored(r.Change.Transaction.PreviousCommitEnd)),
        Array(slice, r => r.Change.Transaction.OriginLsn.IsNone ? (long?)null : Stored(r.Change.Transaction.OriginLsn), NpgsqlDbType.Bigint),
        Integers(slice, r => r.Change.Table.Version),
        Array(slice, r => r.BeforeTable?.Version, NpgsqlDbType.Integer),
        Array(slice, r => r.Change.TotalOrder == 0 ? (int?)null : r.Change.TotalOrder, NpgsqlDbType.Integer),
        Array(slice, r => r.Change.TableOrder == 0 ? (int?)null : r.Change.TableOrder, NpgsqlDbType.Integer),
        Array(slice, r => (short)r.Change.Operation, NpgsqlDbType.Smallint),
        Array(slice, r => r.BeforeIsKeyOnly, NpgsqlDbType.Boolean),
        Array(slice, r => r.Change.HasOmitted, NpgsqlDbType.Boolean),
        Texts(slice, r => r.Change.Entity.Key),
        Texts(slice, r => r.Change.Transaction.Origin),
        Array(slice, r => Image(r.Before, r.BeforeTable is not null), NpgsqlDbType.Bytea),
        Array(slice, r => Image(r.After, r.IsTooLarge && r.Change.Operation is not (ChangeOperation.Delete or ChangeOperation.Truncate)), NpgsqlDbType.Bytea),
        Array(slice, r => r.Change.OtherRow.Size > StoredOther ? null : r.Change.OtherRow.ToStorage(), NpgsqlDbType.Bytea));

    // An empty value stands for an image that was left out. No image is empty: each has at least its number of columns.
    private static byte[]? Image(RowImage image, bool isThere) => image.IsPresent || !isThere ? image.ToStorage() : StoredStates.TooLarge;

    private static JournalRow Fitting(JournalRow row, int mostOfOne)
    {
        if ((long)row.Before.Size + row.After.Size <= mostOfOne)
            return row;
        return row with { Before = default, After = row.After.Size <= mostOfOne ? row.After : default, IsTooLarge = true };
    }

    private static long SizeOf(JournalRow row) =>
        SmallRow + row.Before.Size + row.After.Size + Math.Min(StoredOther, row.Change.OtherRow.Size) + row.Change.Entity.Key.Length;

    private static int Compare(JournalRow left, JournalRow right)
    {
        var byTable = left.Change.Table.TableId.CompareTo(right.Change.Table.TableId);
        return byTable != 0 ? byTable : left.Change.Version.CompareTo(right.Change.Version);
    }
}
