using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Limits how many backfills of a source read at the same time. Those that were started first have priority: whoever must wait, looks again
/// before every chunk, because one that was paused may go on. Backfills of single keys are short, so they neither wait nor count. Safe for
/// concurrent use.
/// </summary>
/// <param name="backfill">The backfill.</param>
/// <param name="store">Knows the others.</param>
/// <param name="time">The clock.</param>
/// <param name="stop">Cancels.</param>
internal sealed class BackfillTurn(StoredBackfill backfill, IBackfillStore store, TimeProvider time, CancellationToken stop)
{
    /// <summary>Most backfills of a source that read at the same time.</summary>
    public const int AtOnce = 2;

    /// <summary>Time between two looks.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly bool _isFree = backfill.Tables.All(t => t.Keys is not null);
    private volatile Looked? _last;

    /// <summary>Returns whether the backfill may read now.</summary>
    public async Task<bool> IsHere(TableProgress progress) => _isFree || (await Ahead(progress)).Count < AtOnce;

    /// <summary>Waits until the backfill may read.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task Await(TableProgress progress)
    {
        if (_isFree)
            return;
        while (await Ahead(progress) is { Count: >= AtOnce } ahead)
        {
            var waiting = $"At most {AtOnce} backfills of source '{backfill.Source}' read at the same time. This one waits for {string.Join(", ", ahead.SkipLast(1))} and {ahead[^1]}, which were started before.";
            if (progress.Waiting != waiting)
            {
                progress.Waiting = waiting;
                await progress.Save();
            }

            await progress.Wait(waiting, Look);
        }

        progress.Waiting = null;
    }

    private async Task<IReadOnlyList<long>> Ahead(TableProgress progress)
    {
        if (_last is { } last && time.GetElapsedTime(last.At) < Look)
            return last.Ahead;
        var ahead = await progress.While(progress.Insist(() => store.Ahead(backfill, stop)));
        _last = new Looked(time.GetTimestamp(), ahead);
        return ahead;
    }

    private sealed record Looked(long At, IReadOnlyList<long> Ahead);
}
