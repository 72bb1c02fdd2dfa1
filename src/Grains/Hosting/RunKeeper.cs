using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>Makes sure every few seconds that whatever is to run by its stored state does run: its silo may have failed.</summary>
internal abstract partial class RunKeeper(string what, TimeProvider time, ILogger logger) : BackgroundService
{
    /// <summary>Time between two looks.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Returns the ids of what is to run.</summary>
    protected abstract Task<IReadOnlyList<long>> Running(CancellationToken cancellation);

    /// <summary>Makes sure that one of them runs.</summary>
    protected abstract ValueTask EnsureRunning(long id);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                try
                {
                    foreach (var id in await Running(stoppingToken))
                        await EnsureRunning(id).AsTask().WaitAsync(stoppingToken);
                }
#pragma warning disable CA1031 // The control database may be out of reach, or a silo may be joining the cluster. The next look comes soon.
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
#pragma warning restore CA1031
                {
                    LogFailed(logger, what, exception.Message);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Looking after {What} failed; it is tried again: {Error}")]
    private static partial void LogFailed(ILogger logger, string what, string error);
}

/// <summary>Keeps replays running.</summary>
internal sealed class ReplayKeeper(IReplayStore store, IGrainFactory grains, TimeProvider time, ILogger<ReplayKeeper> logger) : RunKeeper("replays", time, logger)
{
    protected override Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => store.Running(cancellation);

    protected override ValueTask EnsureRunning(long id) => grains.GetGrain<IReplayGrain>(id).EnsureRunning();
}

/// <summary>Keeps backfills running.</summary>
internal sealed class BackfillKeeper(IBackfillStore store, IGrainFactory grains, TimeProvider time, ILogger<BackfillKeeper> logger) : RunKeeper("backfills", time, logger)
{
    protected override Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => store.Running(cancellation);

    protected override ValueTask EnsureRunning(long id) => grains.GetGrain<IBackfillGrain>(id).EnsureRunning();
}
