using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Entities;

/// <summary>A change that waits to be applied, or an entity whose current row is replayed (<see cref="TablePlan.Replay"/>).</summary>
/// <param name="Change">The change.</param>
/// <param name="Plan">How the changes of its table are handled.</param>
/// <param name="Place">Its place in the partition's sequence.</param>
internal readonly record struct PendingChange(RowChange Change, TablePlan Plan, long Place)
{
    /// <summary>The place of what is not in the sequence: an entity whose current row is replayed.</summary>
    public const long NoPlace = -1;
}
