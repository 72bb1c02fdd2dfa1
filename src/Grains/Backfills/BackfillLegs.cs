using CdcOrleans.Model.Capture;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The current leg of a backfill, which its tables share. Safe for concurrent use.</summary>
/// <param name="reader">Takes the horizon.</param>
/// <param name="source">The reader and the partitions.</param>
/// <param name="stop">Cancels.</param>
internal sealed class BackfillLegs(IChunkReader reader, IBackfillSource source, CancellationToken stop)
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private Task<BackfillLeg>? _current;

    /// <summary>Returns the current leg. If there is none, one table begins it, and the others wait.</summary>
    public async Task<BackfillLeg> Get(TableRunner table, TableProgress progress)
    {
        Task<BackfillLeg> leg;
        lock (_gate)
            leg = _current ??= Begin(table, progress);
        try
        {
            return await progress.While(leg);
        }
        catch when (leg.IsCompleted)
        {
            Forget(leg);
            throw;
        }
    }

    /// <summary>Ends a leg. Whoever needs one from now on gets another one.</summary>
    public void End(BackfillLeg leg)
    {
        lock (_gate)
        {
            if (_current is { IsCompletedSuccessfully: true } current && ReferenceEquals(current.Result, leg))
                _current = null;
        }
    }

    private void Forget(Task<BackfillLeg> leg)
    {
        lock (_gate)
        {
            if (ReferenceEquals(_current, leg))
                _current = null;
        }
    }

    // The horizon must be settled, and the partitions must have everything before it.
    private async Task<BackfillLeg> Begin(TableRunner table, TableProgress progress)
    {
        await Task.Yield();
        var generations = await progress.Read(async () =>
            await Task.WhenAll(Enumerable.Range(0, source.Partitions).Select(source.Generation)));
        var horizon = await progress.Read(async () =>
        {
            await table.Watch();
            return await reader.TakeHorizon(stop);
        });
        while (await progress.Read(() => reader.Unsettled(horizon, stop)) is { } unsettled)
            await progress.Wait(unsettled, Retry);
        while (await progress.Read(() => source.HasReached(horizon.Lsn)) is { IsReached: false } reached)
            await progress.Wait(reached.Waiting, Retry);
        progress.Waiting = null;
        return new BackfillLeg(horizon, generations);
    }
}
