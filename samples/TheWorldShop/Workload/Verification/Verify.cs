using System.Diagnostics;
using System.Globalization;
using CdcOrleans.Samples.TheWorldShop.Databases;
using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>
/// Proves that delivered events match the database: folds them as a consumer would and compares the outcome with every table,
/// column by column. Whoever writes to the database has stopped before.
/// </summary>
internal sealed record Verify
{
    public required string Connection { get; init; }

    public required string Source { get; init; }

    public required string Slot { get; init; }

    public required string Publication { get; init; }

    /// <summary>How long events may still take to arrive.</summary>
    public required TimeSpan Wait { get; init; }

    /// <summary>Whether a row may have no event: it was there before a capture without a backfill.</summary>
    public required bool ChangesOnly { get; init; }

    /// <summary>Returns whether everything matches; prints why not.</summary>
    public async Task<bool> Run(IDeliveredEvents delivered, string from, CancellationToken cancellation)
    {
        await using var shop = await ShopDatabase.Open(Connection, cancellation);
        var end = await ShopDatabase.Scalar<string>(shop, "SELECT pg_current_wal_insert_lsn()::text", cancellation);
        var tables = await ShopTable.Load(shop, Publication, cancellation);
        var folds = tables.ToDictionary(t => t.Topic(Source), t => new TableFold(Source, t), StringComparer.Ordinal);
        var strangers = new SortedDictionary<string, long>(StringComparer.Ordinal);

        var waited = Stopwatch.StartNew();
        List<TableComparison> comparisons;
        while (true)
        {
            // The slot is asked before the events are read: what it has passed was delivered before, and nothing more comes.
            var passed = await SlotPassed(shop, end!, cancellation);
            foreach (var e in delivered.ReadNew())
            {
                if (folds.TryGetValue(e.Topic, out var fold))
                    fold.Apply(e);
                else
                    strangers[e.Topic] = strangers.GetValueOrDefault(e.Topic) + 1;
            }

            comparisons = await Compare(shop, folds.Values, cancellation);
            var faults = folds.Values.Any(f => f.Faults.Count > 0);
            var equal = comparisons.All(c => c.Differences.Count == 0);
            // A backfill may still bring rows, though nothing more comes from the log.
            var mayCome = !ChangesOnly && comparisons.Any(c => c.RowsWithoutEvents > 0);
            if (faults || (passed == true && (equal || !mayCome)) || (passed is null && equal) || waited.Elapsed > Wait)
            {
                Print(from, folds, comparisons, strangers);
                if (equal && !faults && passed == false)
                    Console.WriteLine($"Note: slot '{Slot}' has not confirmed {end} within {Wait.TotalSeconds:0} s; later events would not have been seen.");
                return Conclude(folds, comparisons, equal && !faults);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500), cancellation);
        }
    }

    private async Task<List<TableComparison>> Compare(NpgsqlConnection shop, IEnumerable<TableFold> folds, CancellationToken cancellation)
    {
        var comparisons = new List<TableComparison>();
        await using var snapshot = await shop.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation);
        foreach (var fold in folds)
            comparisons.Add(await fold.Compare(fold.Table.Rows(shop, cancellation), ChangesOnly));
        return comparisons;
    }

    /// <summary>Null where there is no such slot to ask.</summary>
    private async Task<bool?> SlotPassed(NpgsqlConnection shop, string end, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("SELECT confirmed_flush_lsn >= @end::pg_lsn FROM pg_replication_slots WHERE slot_name = @slot", shop);
        command.Parameters.AddWithValue("end", end);
        command.Parameters.AddWithValue("slot", Slot);
        return await command.ExecuteScalarAsync(cancellation) as bool?;
    }

    private static void Print(string from, Dictionary<string, TableFold> folds, List<TableComparison> comparisons, SortedDictionary<string, long> strangers)
    {
        Console.WriteLine($"Delivered events in {from} against the database:");
        var width = Math.Max(folds.Values.Select(f => f.Table.FullName.Length).DefaultIfEmpty().Max(), 5);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {"table".PadRight(width)} {"events",9} {"read",9} {"duplicates",11} {"rows",9} {"deleted",9} {"no events",10} {"different",10}"));
        foreach (var (fold, comparison) in folds.Values.Zip(comparisons))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {fold.Table.FullName.PadRight(width)} {fold.Events,9} {fold.Reads,9} {fold.Duplicates,11} {comparison.Rows,9} {fold.DeletedKeys,9} {comparison.RowsWithoutEvents,10} {comparison.Differences.Count,10}"));
        }

        foreach (var fold in folds.Values)
        {
            var unknown = fold.Table.Columns.Where(c => c.Kind == ColumnKind.Unknown).Select(c => c.Name).ToArray();
            if (unknown.Length > 0)
                Console.WriteLine($"  {fold.Table.FullName}: not compared, type unknown here: {string.Join(", ", unknown)}");
            if (fold.Incomplete > 0)
                Console.WriteLine($"  {fold.Table.FullName}: {fold.Incomplete} changes before the backfill of their rows lack large values that the log left out; the rows came later");
            if (fold.Table.Key.Length == 0)
                Console.WriteLine($"  {fold.Table.FullName}: no key, so its rows cannot be backfilled or told apart; {fold.WithoutKey} events, not compared");
            else if (fold.WithoutKey > 0)
                Console.WriteLine($"  {fold.Table.FullName}: {fold.WithoutKey} events without a key, not compared");
        }

        foreach (var (topic, events) in strangers)
            Console.WriteLine($"  {topic}: {events} events of a table that is not captured now, not compared");
    }

    private bool Conclude(Dictionary<string, TableFold> folds, List<TableComparison> comparisons, bool equal)
    {
        foreach (var fold in folds.Values)
        {
            foreach (var fault in fold.Faults.First)
                Console.WriteLine($"  ! {fold.Table.FullName}: {fault}");
        }

        foreach (var comparison in comparisons)
        {
            foreach (var difference in comparison.Differences.First)
                Console.WriteLine($"  ! {comparison.Table.FullName}: {difference}");
        }

        var events = folds.Values.Sum(f => f.Events);
        var faults = folds.Values.Sum(f => f.Faults.Count);
        var differences = comparisons.Sum(c => c.Differences.Count);
        var without = comparisons.Sum(c => c.RowsWithoutEvents);
        if (events == 0)
        {
            Console.WriteLine($"FAILED: not one event of source '{Source}' was found.");
            return false;
        }

        if (!equal)
        {
            Console.WriteLine($"FAILED: {differences} rows differ, {faults} faults in {events} events.");
            if (!ChangesOnly && without > 0)
            {
                Console.WriteLine($"  {without} rows have no event. Is their backfill done (cdc backfills list)? If there was none: start one (cdc backfills start),"
                    + " or name --changes-only.");
            }

            return false;
        }

        Console.WriteLine($"OK: {events} events ({folds.Values.Sum(f => f.Reads)} of rows that were read, {folds.Values.Sum(f => f.Tombstones)} tombstones beside them, {folds.Values.Sum(f => f.Duplicates)} duplicates) give exactly the {comparisons.Sum(c => c.Rows) - without} rows of {comparisons.Count} tables"
            + (without > 0 ? $"; {without} rows had no events." : "."));
        return true;
    }
}
