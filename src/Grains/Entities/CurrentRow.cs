using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Entities;

/// <summary>Makes a change of a stored state: its row as a read, or its deletion.</summary>
internal static class CurrentRow
{
    /// <summary>Returns the change, ready to be formatted.</summary>
    /// <param name="entity">The entity.</param>
    /// <param name="state">Its state.</param>
    /// <param name="plan">How the changes of its table are handled.</param>
    /// <param name="source">Name of its source.</param>
    /// <param name="database">Name of the captured database.</param>
    /// <param name="origin">Why the event is sent.</param>
    /// <param name="now">The time now.</param>
    public static CompletedChange Of(EntityKey entity, EntityState state, TablePlan plan, string source, string database, EventOrigin origin, DateTimeOffset now)
    {
        var change = new RowChange
        {
            Operation = state.Deleted ? ChangeOperation.Delete : ChangeOperation.Read,
            Table = state.Table,
            Entity = entity,
            Version = state.Version,
            Lsn = state.Version.CommitLsn,

            // The transaction is not stored; the time is that of the reading, as for every row that is read.
            Transaction = new SourceTransaction { CommitLsn = state.Version.CommitLsn, Xid = 0, CommitMicros = now.ToUnixTimeMilliseconds() * 1000 },
            After = state.Row,
            Snapshot = SnapshotMark.Row,
        };
        return new CompletedChange
        {
            Change = change,
            Source = source,
            Database = database,
            Topic = plan.Topic,
            Values = plan.Values,
            Tombstones = plan.Events.Tombstones,
            Origin = origin,
            After = state.Row,
        };
    }
}
