using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The tables of a backfill that are read after the present one.</summary>
internal sealed class LaterTables(IChunkReader reader, BackfillProgress progress, CancellationToken stop)
{
    /// <summary>Returns which rows of a table are read.</summary>
    public static BackfillScope ScopeOf(BackfillTable table)
    {
        var dot = table.Table.IndexOf('.', StringComparison.Ordinal);
        return new BackfillScope(table.Table[..dot], table.Table[(dot + 1)..]) { Where = table.Where, Columns = table.Columns };
    }

    /// <summary>Asks the source whether one of them has rows. If none has, the present table has the last row of all.</summary>
    public async Task<bool> HaveRows(BackfillHorizon horizon)
    {
        foreach (var table in progress.Backfill.Tables.Where(t => t.Place > progress.Table.Place && !t.IsDone))
        {
            var request = new ChunkRequest { Scope = ScopeOf(table), Relation = table.Relation, Horizon = horizon, Bounds = new ChunkBounds { Rows = 1 } };
            try
            {
                if ((await progress.Read(() => reader.Read(request, stop))).Rows.Count > 0)
                    return true;
            }
            catch (CaptureException)
            {
                // No row of it is told. Its own turn says why.
            }
        }

        return false;
    }
}
