using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Entities;

/// <summary>Completes what the log leaves out of a change from the row the entity holds.</summary>
internal static class ImageCompletion
{
    /// <summary>A change from the log with both images completed, ready to be formatted.</summary>
    /// <param name="change">The change.</param>
    /// <param name="held">What its entity holds; null when nothing is held or known.</param>
    /// <param name="plan">What happens to the changes of its table.</param>
    /// <param name="source">Name of its source.</param>
    /// <param name="database">Name of the captured database.</param>
    public static CompletedChange Complete(RowChange change, EntityState? held, TablePlan plan, string source, string database)
    {
        var before = Before(change, held, out var beforeTable);
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
            After = After(change, held),
        };
    }

    /// <summary>
    /// The row after a change, with columns that the log calls unchanged taken from the held row, where they are certainly the same ones.
    /// A column that the held row does not know either stays <see cref="ColumnKind.Unchanged"/>.
    /// </summary>
    public static RowImage After(RowChange change, EntityState? held)
    {
        var after = change.After;
        if (held is not { Deleted: false, Row.IsPresent: true } || !after.HasUnchanged)
            return after;

        var size = RowImageWriter.EmptySize;
        var index = 0;
        foreach (var column in after)
            size += RowImageWriter.SizeOf(Completed(column, held, change.Table, index++));

        var tuple = new byte[size];
        var writer = new RowImageWriter(tuple, after.ColumnCount);
        index = 0;
        foreach (var column in after)
            writer.Write(Completed(column, held, change.Table, index++));
        return new RowImage(tuple);
    }

    /// <summary>
    /// The row before a change: what the log carries when that is whole, else the held row, else what little the log has.
    /// An update whose old row nobody knows has none.
    /// </summary>
    public static RowImage Before(RowChange change, EntityState? held, out TableSchema? shape)
    {
        shape = change.Table;
        if (change.Before.IsPresent && !change.BeforeIsKeyOnly)
            return change.Before;
        if (change.Operation is ChangeOperation.Update or ChangeOperation.Delete && held is { Deleted: false, Row.IsPresent: true }
            && IsOfSameTable(held, change.Table))
        {
            shape = held.Table;
            return held.Row;
        }

        if (change.Operation == ChangeOperation.Delete && change.Before.IsPresent)
            return change.Before;
        shape = null;
        return default;
    }

    // Another table may have had the name, and rows with the same keys, before. Shapes stored by early versions do not tell.
    private static bool IsOfSameTable(EntityState held, TableSchema table) => held.Table.RelationOid == table.RelationOid || held.Table.RelationOid == 0;

    private static RowImage.Column Completed(RowImage.Column column, EntityState held, TableSchema table, int index) =>
        column.Kind == ColumnKind.Unchanged ? Held(held, table, index) : column;

    private static RowImage.Column Held(EntityState held, TableSchema table, int index)
    {
        var place = ColumnMatch.ForValues.PlaceOf(table, index, held.Table);
        if (place >= 0)
        {
            var at = 0;
            foreach (var column in held.Row)
            {
                if (at++ == place)
                    return column;
            }
        }

        return RowImage.Column.Unknown;
    }
}
