using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Entities;

/// <summary>Completes the images of a change: values that the log leaves out are copied from the stored row of the entity.</summary>
internal static class ImageCompletion
{
    /// <summary>Returns a change with both images completed, ready to be formatted.</summary>
    /// <param name="change">The change.</param>
    /// <param name="stored">The state of its entity before the change; null when nothing is stored or known.</param>
    /// <param name="plan">How the changes of its table are handled.</param>
    /// <param name="source">Name of its source.</param>
    /// <param name="database">Name of the captured database.</param>
    public static CompletedChange Complete(RowChange change, EntityState? stored, TablePlan plan, string source, string database)
    {
        var before = Before(change, stored, out var beforeTable);
        return new CompletedChange
        {
            Change = change,
            Source = source,
            Database = database,
            Topic = plan.Topic,
            Values = plan.Values,
            Tombstones = plan.Events.Tombstones,
            Origin = EventOrigin.Stream,
            Before = before,
            BeforeTable = beforeTable,
            After = After(change, stored),
        };
    }

    /// <summary>
    /// Returns the row after a change. A column that the log marks as unchanged gets its value from the stored row, if it is certainly the
    /// same column. If the stored row has no value either, it stays <see cref="ColumnKind.Unchanged"/>.
    /// </summary>
    public static RowImage After(RowChange change, EntityState? stored)
    {
        var after = change.After;
        if (stored is not { Deleted: false, IsDoubtful: false, Row.IsPresent: true } || !after.HasUnchanged)
            return after;

        var size = RowImageWriter.EmptySize;
        var index = 0;
        foreach (var column in after)
            size += RowImageWriter.SizeOf(Completed(column, stored, change.Table, index++));

        var tuple = new byte[size];
        var writer = new RowImageWriter(tuple, after.ColumnCount);
        index = 0;
        foreach (var column in after)
            writer.Write(Completed(column, stored, change.Table, index++));
        return new RowImage(tuple);
    }

    /// <summary>
    /// Returns the row before a change: the complete old row from the log; otherwise the stored row; otherwise, for a deletion, the key columns
    /// from the log. An update without any of these has no row before it.
    /// </summary>
    /// <param name="change">The change.</param>
    /// <param name="stored">The state of its entity before the change; null when nothing is stored or known.</param>
    /// <param name="beforeSchema">Schema of the returned row; null when there is none.</param>
    public static RowImage Before(RowChange change, EntityState? stored, out TableSchema? beforeSchema)
    {
        beforeSchema = change.Table;
        if (change.Before.IsPresent && !change.BeforeIsKeyOnly)
            return change.Before;
        if (change.Operation is ChangeOperation.Update or ChangeOperation.Delete && stored is { Deleted: false, IsDoubtful: false, Row.IsPresent: true }
            && IsOfSameTable(stored, change.Table))
        {
            beforeSchema = stored.Table;
            return stored.Row;
        }

        if (change.Operation == ChangeOperation.Delete && change.Before.IsPresent)
            return change.Before;
        beforeSchema = null;
        return default;
    }

    // An earlier table may have had the same name, and rows with the same keys. Schemas stored by early versions have no relation OID (0).
    private static bool IsOfSameTable(EntityState stored, TableSchema table) => stored.Table.RelationOid == table.RelationOid || stored.Table.RelationOid == 0;

    private static RowImage.Column Completed(RowImage.Column column, EntityState stored, TableSchema table, int index) =>
        column.Kind == ColumnKind.Unchanged ? StoredColumn(stored, table, index) : column;

    private static RowImage.Column StoredColumn(EntityState stored, TableSchema table, int index)
    {
        var place = ColumnMatch.ForValues.PlaceOf(table, index, stored.Table);
        if (place >= 0)
        {
            var at = 0;
            foreach (var column in stored.Row)
            {
                if (at++ == place)
                    return column;
            }
        }

        return RowImage.Column.Unknown;
    }
}
