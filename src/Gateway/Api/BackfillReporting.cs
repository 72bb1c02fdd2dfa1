using CdcOrleans.Grains.Interfaces.Backfills;

namespace CdcOrleans.Gateway.Api;

/// <summary>Shows backfills in the words of the API.</summary>
internal static class BackfillReporting
{
    public static BackfillItem Item(BackfillView backfill)
    {
        var done = backfill.Tables.Sum(t => t.RowsDone);
        var left = backfill.Tables.Sum(Left);
        return new BackfillItem(
            backfill.Id, backfill.Source, backfill.Kind, backfill.State, backfill.Rate, Math.Round(backfill.Speed, 1), backfill.Tables.Sum(t => t.RowsTotal), done,
            backfill.State == "done" ? 100 : Percent(done, left), backfill.State == "running" ? Seconds(left, backfill.Speed) : null, backfill.Tables.Sum(t => t.Sent),
            backfill.Tables.Sum(t => t.Unchanged), backfill.Tables.Sum(t => t.Created), backfill.Tables.Sum(t => t.Updated), backfill.Tables.Sum(t => t.Deleted),
            backfill.Tables.Sum(t => t.Parked), backfill.Tables.Sum(t => t.Refused), backfill.Error, backfill.Waiting, backfill.Who, backfill.CreatedAt, backfill.UpdatedAt,
            backfill.EndedAt,
            [.. backfill.Tables.Select(t => new BackfillTableItem(
                t.Table, t.Where, t.Keys, t.IsDone, t.RowsTotal, t.RowsDone, t.Sent, t.Unchanged, t.Created, t.Updated, t.Deleted, t.Parked, t.Refused, t.Error))]);
    }

    // The totals are estimates. A table that is done has nothing left, whatever was estimated, and one with more rows than estimated still has some.
    private static long Left(BackfillTableView table) => table.IsDone ? 0 : Math.Max(0, table.RowsTotal - table.RowsDone);

    private static int Percent(long done, long left) => done == 0 ? 0 : (int)Math.Min(99, done * 100.0 / (done + left));

    private static long? Seconds(long left, double speed) => left > 0 && double.IsFinite(speed) && speed > 0 ? (long)Math.Ceiling(left / speed) : null;
}
