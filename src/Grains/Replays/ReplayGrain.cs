using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace CdcOrleans.Grains.Replays;

/// <summary>
/// The grain of a replay. It runs the <see cref="ReplayRunner"/> while the replay is running. When its silo fails, another silo activates
/// it (<see cref="IReplayGrain.EnsureRunning"/> is called every few seconds), and it goes on from the stored progress.
/// </summary>
[KeepAlive]
[Reentrant]
internal sealed class ReplayGrain(PipelineConfiguration configuration, IReplayStore store, IJournalHistories journals, TimeProvider time, ILogger<ReplayGrain> logger)
    : Grain, IReplayGrain, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _run = Task.CompletedTask;
    private bool _isAgain;

    /// <inheritdoc />
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    /// <inheritdoc />
    public void Dispose() => _stop.Dispose();

    /// <inheritdoc />
    public ValueTask EnsureRunning()
    {
        if (_run.IsCompleted && !_stop.IsCancellationRequested)
            _run = Run();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public ValueTask Changed()
    {
        // A run that ends because of a pause may not have seen yet that it was resumed.
        _isAgain = !_run.IsCompleted;
        return EnsureRunning();
    }

    private async Task Run()
    {
        await Task.Yield();
        try
        {
            do
            {
                _isAgain = false;
                await RunOnce();
            }
            while (_isAgain && !_stop.IsCancellationRequested);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Another silo goes on.
        }
        finally
        {
            DeactivateOnIdle();
        }
    }

    private async Task RunOnce()
    {
        var id = this.GetPrimaryKeyLong();
        if (await store.Get(id, _stop.Token) is not { State: ReplayState.Running } replay)
            return;
        if (Problem(replay) is { } problem)
        {
            if (await store.Begin(id, _stop.Token) is { } begun)
                await store.End(begun, problem, _stop.Token);
            return;
        }

        IReplayRows rows = replay switch
        {
            { Tables: [{ Keys: not null }, ..] } => new AskedRows(),
            { From: ReplayOrders.Journal } => new JournalRows(journals, replay.Window),
            _ => new HeldRows(store),
        };
        var runner = new ReplayRunner(store, rows, configuration.Sources[replay.Source].Partitions, Send, time, logger);
        await runner.Run(id, _stop.Token);

        Task<ReplayAnswer> Send(int partition, ReplaySlice slice) =>
            GrainFactory.GetGrain<IPartitionGrain>(PartitionKey.For(replay.Source, partition)).Replay(slice).AsTask();
    }

    // The configuration may be another one than when it was started.
    private string? Problem(StoredReplay replay)
    {
        if (!configuration.Sources.ContainsKey(replay.Source))
            return $"Source '{replay.Source}' is not configured any more. Configure it again, and start another replay.";
        if (!configuration.Sinks.ContainsKey(replay.Sink))
            return $"Sink '{replay.Sink}' is not configured any more. Configure it and its routes again, and start another replay.";
        return replay.From is ReplayOrders.Held or ReplayOrders.Journal ? null : $"This release cannot replay from '{replay.From}'. Upgrade every silo, and start another replay.";
    }
}
