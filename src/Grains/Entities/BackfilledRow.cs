using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Entities;

/// <summary>Makes events and states of rows that a backfill read, once they are to replace those of their entities.</summary>
internal static class BackfilledRow
{
    /// <summary>Returns what a row that was read, or its absence, tells that the state does not.</summary>
    /// <param name="state">The state; null when there is none.</param>
    /// <param name="read">The row, or a deletion when there is none.</param>
    /// <param name="kind">What the backfill is for.</param>
    public static RowMerged Difference(EntityState? state, RowChange read, BackfillKind kind)
    {
        if (read.Operation != ChangeOperation.Read)
            return RowMerged.Deleted;
        if (kind is BackfillKind.Initial or BackfillKind.Rows)
            return RowMerged.Sent;
        if (state is not { Deleted: false })
            return RowMerged.Created;
        return IsSame(state, read) ? RowMerged.Unchanged : RowMerged.Updated;
    }

    /// <summary>Returns the change, ready to be formatted.</summary>
    public static CompletedChange Completed(
        RowChange read, ChangeVersion version, EntityState? state, RowMerged what, TablePlan plan, string source, string database)
    {
        var hasBefore = what is RowMerged.Updated or RowMerged.Deleted && state is { Deleted: false, Row.IsPresent: true };
        return new CompletedChange
        {
            Change = read with
            {
                Version = version,
                Operation = what switch
                {
                    RowMerged.Created => ChangeOperation.Create,
                    RowMerged.Updated => ChangeOperation.Update,
                    RowMerged.Deleted => ChangeOperation.Delete,
                    _ => ChangeOperation.Read,
                },
            },
            Source = source,
            Database = database,
            Topic = plan.Topic,
            Values = plan.Values,
            Tombstones = plan.Events.Tombstones,
            Origin = EventOrigin.Backfill,
            Before = hasBefore ? state!.Row : read.Before,
            BeforeTable = hasBefore ? state!.Table : read.Before.IsPresent ? read.Table : null,
            After = ImageCompletion.After(read, state),
        };
    }

    /// <summary>Returns the state afterwards.</summary>
    public static EntityState State(in CompletedChange completed, EntityState? before, BackfillWork work, EntityMode mode)
    {
        var change = completed.Change;
        var deleted = change.Operation == ChangeOperation.Delete;

        // A change before the horizon is visible in every chunk, so its id need not be known. It may be too old to be widened.
        var isIdNeeded = before is { Xid: not 0 } && before.Version.CommitLsn >= work.Horizon.Lsn;
        return new EntityState(change.Version, change.Table, deleted || mode != EntityMode.Row ? default : completed.After, deleted)
        {
            Xid = isIdNeeded ? before!.Xid : unchecked((uint)(work.Chunk.Snapshot.Snapshot.Xmin - 1)),
            Chunk = work.Chunk,
        };
    }

    // Column by column, because the table may have been altered since the row was stored. What was not read, or is too long to be kept, is not
    // compared.
    private static bool IsSame(EntityState state, RowChange read)
    {
        if (!state.Row.IsPresent)
            return false;
        if (state.Table.Version == read.Table.Version && state.Row.Bytes.SequenceEqual(read.After.Bytes))
            return true;
        var index = 0;
        foreach (var column in read.After)
        {
            var place = ColumnMatch.ForValues.PlaceOf(read.Table, index++, state.Table);
            if (column.Kind is ColumnKind.Unchanged or ColumnKind.Omitted)
                continue;
            if (place < 0 || !IsColumn(state.Row, place, column))
                return false;
        }

        return true;
    }

    private static bool IsColumn(RowImage row, int place, in RowImage.Column expected)
    {
        var at = 0;
        foreach (var column in row)
        {
            if (at++ == place)
                return column.Kind == expected.Kind && column.Text.SequenceEqual(expected.Text);
        }

        return false;
    }
}
