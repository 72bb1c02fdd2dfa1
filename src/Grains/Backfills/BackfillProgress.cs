using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The backfill does not run here any more: a person paused or ended it, or somebody else runs it.</summary>
internal sealed class BackfillStoppedException() : Exception("The backfill does not run here any more.");

/// <summary>The progress of a backfill that runs. It waits for the control database and for the source while they do not answer.</summary>
internal sealed partial class BackfillProgress(IBackfillStore store, TimeProvider time, ILogger logger, CancellationToken stop)
{
    /// <summary>Longest time between two looks at whether a person paused or ended the backfill.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private long _savedAt;
    private long _number;
    private (long At, long Rows) _mark;
    private double _speed;

    /// <summary>The backfill, as it was when it began to run here.</summary>
    public StoredBackfill Backfill { get; private set; } = null!;

    /// <summary>The table that is read, with its progress.</summary>
    public BackfillTable Table { get; set; } = null!;

    /// <summary>What it waits for; null when it waits for nothing.</summary>
    public string? Waiting { get; set; }

    /// <summary>Returns the number of the next chunk of this run.</summary>
    public long NextNumber() => ++_number;

    /// <summary>Begins to run a backfill; null when it is not running.</summary>
    public async Task<StoredBackfill?> Begin(long id)
    {
        if (await Insist(() => store.Begin(id, stop)) is not { } begun)
            return null;
        Backfill = begun;
        _mark.At = _savedAt = time.GetTimestamp();
        return begun;
    }

    /// <summary>Writes the progress.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task Save()
    {
        Measure();
        _savedAt = time.GetTimestamp();
        var waiting = Waiting;
        if (await Insist(() => store.Save(Backfill, Table, waiting, _speed, stop)) != BackfillState.Running)
            throw new BackfillStoppedException();
    }

    /// <summary>Writes the progress if it was not written for a while.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public Task LookAfter() => time.GetElapsedTime(_savedAt) >= Look ? Save() : Task.CompletedTask;

    /// <summary>Waits, and says for what.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task Wait(string? what, TimeSpan length)
    {
        Waiting = what;
        await LookAfter();
        await Task.Delay(length, time, stop);
    }

    /// <summary>Waits for a task, and meanwhile writes the progress from time to time.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task<T> While<T>(Task<T> task)
    {
        while (await Task.WhenAny(task, Task.Delay(Look, time, stop)) != task)
        {
            stop.ThrowIfCancellationRequested();
            await Save();
        }

        return await task;
    }

    /// <summary>Asks the source or a partition, again and again until it answers.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    /// <exception cref="CaptureException">It answered that it cannot, and that this does not pass by itself.</exception>
    /// <exception cref="BackfillProblemException">The same.</exception>
    public async Task<T> Read<T>(Func<Task<T>> ask)
    {
        while (true)
        {
            string problem;
            try
            {
                var answer = await While(ask());
                Waiting = null;
                return answer;
            }
            catch (Exception exception) when (exception is BackfillStoppedException or BackfillProblemException or CaptureException { Transient: false })
            {
                throw;
            }
            catch (CaptureException exception)
            {
                problem = exception.Message;
            }
#pragma warning disable CA1031 // A partition may be moving to another silo, or its silo may have failed.
            catch (Exception exception) when (!stop.IsCancellationRequested)
#pragma warning restore CA1031
            {
                problem = $"The source does not answer: {exception.GetType().Name}. It may be moving to another silo.";
                LogUnanswered(logger, Backfill.Source, Backfill.Id, exception.Message);
            }

            await Wait(problem, Retry);
        }
    }

    /// <summary>Ends the backfill.</summary>
    public Task End(string? error) => Insist(async () =>
    {
        await store.End(Backfill, error, stop);
        return true;
    });

    /// <summary>Calls the control database until it answers. It may be out of reach for a while, or its disk may be full.</summary>
    /// <exception cref="BackfillStoppedException">It does not run here any more.</exception>
    public async Task<T> Insist<T>(Func<Task<T>> call)
    {
        var (before, isRefused) = (Waiting, false);
        while (true)
        {
            try
            {
                var answer = await call();
                if (isRefused)
                    Waiting = before;
                return answer;
            }
#pragma warning disable CA1031 // Whatever it is, the backfill goes on when it is over.
            catch (Exception exception) when (exception is not BackfillStoppedException && !stop.IsCancellationRequested)
#pragma warning restore CA1031
            {
                LogStoreFailed(logger, exception.Message);
                isRefused = true;
                Waiting = $"The control database does not store the progress of the backfill: {exception.Message}";
                await TrySave();
                await Task.Delay(Retry, time, stop);
            }
        }
    }

    // It may refuse some statements only.
    private async Task TrySave()
    {
        if (Backfill is null || Table is null)
            return;
        BackfillState? state;
        try
        {
            state = await store.Save(Backfill, Table, Waiting, 0, stop);
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

    private void Measure()
    {
        var now = time.GetTimestamp();
        var passed = time.GetElapsedTime(_mark.At, now).TotalSeconds;
        if (passed < 1)
            return;
        _speed = Math.Max(0, Table.RowsDone - _mark.Rows) / passed;
        _mark = (now, Table.RowsDone);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A backfill waits for the control database: {Error}")]
    private static partial void LogStoreFailed(ILogger logger, string error);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: backfill {Backfill}: no answer, it is asked again: {Error}")]
    private static partial void LogUnanswered(ILogger logger, string source, long backfill, string error);
}
