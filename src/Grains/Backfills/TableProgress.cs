using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The progress of one table of a backfill that runs. It waits for the source while that does not answer.</summary>
/// <param name="whole">The progress of the backfill.</param>
/// <param name="table">The table, as it was when the backfill began to run here.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Its log.</param>
/// <param name="stop">Cancels.</param>
internal sealed partial class TableProgress(BackfillProgress whole, BackfillTable table, TimeProvider time, ILogger logger, CancellationToken stop)
{
    /// <summary>Longest time between two looks at whether a person paused or ended the backfill.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    /// <summary>The backfill, as it was when it began to run here.</summary>
    public StoredBackfill Backfill => whole.Backfill;

    /// <summary>The table, with its progress.</summary>
    public BackfillTable Table { get; set; } = table;

    /// <summary>What it waits for; null when it waits for nothing.</summary>
    public string? Waiting { get; set; }

    /// <inheritdoc cref="BackfillProgress.NextNumber" />
    public long NextNumber() => whole.NextNumber();

    /// <inheritdoc cref="BackfillProgress.Insist{T}" />
    public Task<T> Insist<T>(Func<Task<T>> call) => whole.Insist(call, this);

    /// <summary>Writes the progress.</summary>
    /// <exception cref="BackfillStoppedException">The backfill does not run here any more.</exception>
    public Task Save() => whole.Save(this);

    /// <summary>Waits, and says for what.</summary>
    /// <exception cref="BackfillStoppedException">The backfill does not run here any more.</exception>
    public async Task Wait(string? what, TimeSpan length)
    {
        Waiting = what;
        if (whole.Unsaved >= Look)
            await Save();
        await Task.Delay(length, time, stop);
    }

    /// <summary>Waits for a task, and meanwhile writes the progress from time to time.</summary>
    /// <exception cref="BackfillStoppedException">The backfill does not run here any more.</exception>
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
    /// <exception cref="BackfillStoppedException">The backfill does not run here any more.</exception>
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

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: backfill {Backfill}: no answer, it is asked again: {Error}")]
    private static partial void LogUnanswered(ILogger logger, string source, long backfill, string error);
}
