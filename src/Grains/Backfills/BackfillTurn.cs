using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Limits how many backfills of a source read at the same time. Those that were started first have priority: whoever must wait, looks again
/// before every chunk, because one that was paused may go on. Backfills of single keys are short, so they neither wait nor count.
/// </summary>
/// <param name="progress">The progress of the backfill.</param>
/// <param name="store">Knows the others.</param>
/// <param name="time">The clock.</param>
/// <param name="stop">Cancels.</param>
internal sealed class BackfillTurn(BackfillProgress progress, IBackfillStore store, TimeProvider time, CancellationToken stop)
{
    /// <summary>Most backfills of a source that read at the same time.</summary>
    public const int AtOnce = 2;

    /// <summary>Time between two looks.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly bool _isFree = progress.Backfill.Tables.All(t => t.Keys is not null);
    private IReadOnlyList<long> _ahead = [];
    private long? _lookedAt;

    /// <summary>Returns whether the backfill may read now.</summary>
    public async Task<bool> IsHere()
    {
        if (_isFree)
            return true;
        if (_lookedAt is not { } at || time.GetElapsedTime(at) >= Look)
        {
            _ahead = await progress.While(progress.Insist(() => store.Ahead(progress.Backfill, stop)));
            _lookedAt = time.GetTimestamp();
        }

        return _ahead.Count < AtOnce;
    }

    /// <summary>Waits until the backfill may read.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task Await()
    {
        if (await IsHere())
            return;
        do
        {
            var waiting = $"At most {AtOnce} backfills of source '{progress.Backfill.Source}' read at the same time. This one waits for {string.Join(", ", _ahead.SkipLast(1))} and {_ahead[^1]}, which were started before.";
            if (progress.Waiting != waiting)
            {
                progress.Waiting = waiting;
                await progress.Save();
            }

            await progress.Wait(waiting, Look);
        }
        while (!await IsHere());
        progress.Waiting = null;
    }
}
