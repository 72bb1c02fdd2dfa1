using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The backfill does not run here any more: a person paused or ended it, or somebody else runs it.</summary>
internal sealed class BackfillStoppedException() : Exception("The backfill does not run here any more.");

/// <summary>
/// The progress of a backfill that runs, which its tables share. It waits for the control database while that does not answer. Safe for
/// concurrent use.
/// </summary>
internal sealed partial class BackfillProgress(IBackfillStore store, TimeProvider time, ILogger logger, CancellationToken stop)
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private IReadOnlyList<TableProgress> _tables = [];
    private long _savedAt;
    private long _number;
    private (long At, long Rows) _mark;
    private double _speed;

    /// <summary>The backfill, as it was when it began to run here.</summary>
    public StoredBackfill Backfill { get; private set; } = null!;

    /// <summary>The tables that are not done, in their order.</summary>
    public IReadOnlyList<TableProgress> Open { get; private set; } = [];

    /// <summary>Time since the progress of a table was last written.</summary>
    public TimeSpan Unsaved => time.GetElapsedTime(Interlocked.Read(ref _savedAt));

    // Tables may wait for the same thing.
    private string? Waiting => string.Join(' ', _tables.Select(t => t.Waiting).OfType<string>().Distinct()) is { Length: > 0 } waiting ? waiting : null;

    /// <summary>Returns the number of the next chunk of this run.</summary>
    public long NextNumber() => Interlocked.Increment(ref _number);

    /// <summary>Begins to run a backfill; null when it is not running.</summary>
    public async Task<StoredBackfill?> Begin(long id)
    {
        if (await Insist(() => store.Begin(id, stop)) is not { } begun)
            return null;
        Backfill = begun;
        _tables = [.. begun.Tables.Select(t => new TableProgress(this, t, time, logger, stop))];
        Open = [.. _tables.Where(t => !t.Table.IsDone)];
        _savedAt = time.GetTimestamp();
        _mark = (_savedAt, Rows);
        return begun;
    }

    /// <summary>Writes the progress of a table.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task Save(TableProgress table)
    {
        var speed = Measure();
        Interlocked.Exchange(ref _savedAt, time.GetTimestamp());
        var waiting = Waiting;
        if (await Insist(() => store.Save(Backfill, table.Table, waiting, speed, stop), table) != BackfillState.Running)
            throw new BackfillStoppedException();
    }

    /// <summary>Ends the backfill.</summary>
    public Task End(string? error) => Insist(async () =>
    {
        await store.End(Backfill, error, stop);
        return true;
    });

    /// <summary>Calls the control database until it answers. It may be out of reach for a while, or its disk may be full.</summary>
    /// <param name="call">The call.</param>
    /// <param name="table">The table that waits for it, and says so; null for none.</param>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task<T> Insist<T>(Func<Task<T>> call, TableProgress? table = null)
    {
        var (before, isRefused) = (table?.Waiting, false);
        while (true)
        {
            try
            {
                var answer = await call();
                if (isRefused && table is not null)
                    table.Waiting = before;
                return answer;
            }
#pragma warning disable CA1031 // Whatever it is, the backfill goes on when it is over.
            catch (Exception exception) when (exception is not BackfillStoppedException && !stop.IsCancellationRequested)
#pragma warning restore CA1031
            {
                LogStoreFailed(logger, exception.Message);
                isRefused = true;
                if (table is not null)
                {
                    table.Waiting = $"The control database does not store the progress of the backfill: {exception.Message}";
                    await TrySave(table);
                }

                await Task.Delay(Retry, time, stop);
            }
        }
    }

    // It may refuse some statements only.
    private async Task TrySave(TableProgress table)
    {
        BackfillState? state;
        try
        {
            state = await store.Save(Backfill, table.Table, Waiting, 0, stop);
        }
#pragma warning disable CA1031 // See above.
        catch (Exception) when (!stop.IsCancellationRequested)
#pragma warning restore CA1031
        {
            return;
        }

        if (state != BackfillState.Running)
            throw new BackfillStoppedException();
    }

    private long Rows => _tables.Sum(t => t.Table.RowsDone);

    private double Measure()
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var passed = time.GetElapsedTime(_mark.At, now).TotalSeconds;
            if (passed < 1)
                return _speed;
            var rows = Rows;
            _speed = Math.Max(0, rows - _mark.Rows) / passed;
            _mark = (now, rows);
            return _speed;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A backfill waits for the control database: {Error}")]
    private static partial void LogStoreFailed(ILogger logger, string error);
}
