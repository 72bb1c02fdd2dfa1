using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>A state and the key under which it is stored.</summary>
internal readonly record struct StateRow(string Key, EntityState State);

/// <summary>
/// The states of a checkpoint in the order of their keys, each key once, in slices for one statement each. Because of the order, two
/// transactions that change the same rows wait for each other instead of causing a deadlock, and the index is read in its order.
/// </summary>
internal static class StateSlices
{
    /// <summary>Makes the slices.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="mostOfOne">Largest row that is stored, in bytes. The state of a larger one has no row.</param>
    /// <param name="leftOut">Gets the entities whose row is larger.</param>
    public static IEnumerable<Slice<StateRow>> Of(Checkpoint checkpoint, int mostOfOne, ICollection<EntityKey> leftOut) =>
        Slices.Of(Sorted(checkpoint, mostOfOne, leftOut), SizeOf);

    private static long SizeOf(StateRow row) => row.State.Size + row.Key.Length;

    private static ArraySegment<StateRow> Sorted(Checkpoint checkpoint, int mostOfOne, ICollection<EntityKey> leftOut)
    {
        var rows = new StateRow[checkpoint.Partitions.Sum(p => p.States.Count)];
        var count = 0;
        foreach (var partition in checkpoint.Partitions)
        {
            foreach (var (entity, state) in partition.States)
            {
                var fits = state.Row.Size <= mostOfOne;
                if (!fits)
                    leftOut.Add(entity);
                rows[count++] = new StateRow(StoredText.Key(entity.Key), fits ? state : state with { Row = default, Absence = RowAbsence.TooLarge });
            }
        }

        rows.AsSpan(0, count).Sort(Compare);

        // One statement may change a row only once. Of two states of an entity, the newer one stays.
        var kept = 0;
        for (var i = 0; i < count; i++)
        {
            if (kept > 0 && SameEntity(rows[kept - 1], rows[i]))
                kept--;
            rows[kept++] = rows[i];
        }

        return new ArraySegment<StateRow>(rows, 0, kept);
    }

    private static int Compare(StateRow left, StateRow right)
    {
        var byTable = left.State.Table.TableId.CompareTo(right.State.Table.TableId);
        if (byTable != 0)
            return byTable;
        var byKey = string.CompareOrdinal(left.Key, right.Key);
        return byKey != 0 ? byKey : left.State.Version.CompareTo(right.State.Version);
    }

    private static bool SameEntity(StateRow left, StateRow right) =>
        left.State.Table.TableId == right.State.Table.TableId && string.Equals(left.Key, right.Key, StringComparison.Ordinal);
}
