using CdcOrleans.Bench.EndToEnd.Consumers;

namespace CdcOrleans.Bench.EndToEnd;

/// <summary>Makes the product read the rows of a table, again and again, while something else is measured.</summary>
internal sealed class BackfillLoad(Product product, string table)
{
    /// <summary>Rows that were read.</summary>
    public long Rows { get; private set; }

    /// <summary>Seconds in which they were read.</summary>
    public double Seconds { get; private set; }

    /// <summary>Runs until it is stopped, and then cancels the backfill that runs.</summary>
    public async Task Run(CancellationToken stop, CancellationToken cancel)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!stop.IsCancellationRequested)
        {
            var id = await product.StartBackfill(table, cancel);
            var (state, rows) = await product.BackfillState(id, cancel);
            while (state == "running")
            {
                if (stop.IsCancellationRequested)
                    await product.CancelBackfill(id, cancel);
                await Task.Delay(200, cancel);
                (state, rows) = await product.BackfillState(id, cancel);
            }

            if (state is not ("done" or "cancelled"))
                throw new BenchmarkException($"The backfill of {table} is {state}.");
            Rows += rows;
        }

        Seconds = clock.Elapsed.TotalSeconds;
    }
}
