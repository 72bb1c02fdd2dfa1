using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
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
    private RunLoop? _loop;

    private RunLoop Loop => _loop ??= new RunLoop(Run, DeactivateOnIdle);

    /// <inheritdoc />
    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => Loop.Stop();

    /// <inheritdoc />
    public void Dispose() => _loop?.Dispose();

    /// <inheritdoc />
    public ValueTask EnsureRunning() => Loop.EnsureRunning();

    /// <inheritdoc />
    public ValueTask Changed() => Loop.Changed();

    private async Task Run(CancellationToken stop)
    {
        var id = this.GetPrimaryKeyLong();
        if (await store.Get(id, stop) is not { State: ReplayState.Running } replay)
            return;
        if (Problem(replay) is { } problem)
        {
            if (await store.Begin(id, stop) is { } begun)
                await store.End(begun, problem, stop);
            return;
        }

        IReplayRows rows = replay switch
        {
            { Tables: [{ Keys: not null }, ..] } => new AskedRows(),
            { From: ReplayOrders.Journal } => new JournalRows(journals, replay.Window),
            _ => new HeldRows(store),
        };
        var runner = new ReplayRunner(store, rows, configuration.Sources[replay.Source].Partitions, Send, time, logger);
        await runner.Run(id, stop);

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
