using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// The grain of a backfill. It runs the <see cref="BackfillRunner"/> while the backfill is running. When its silo fails, another silo
/// activates it (<see cref="IBackfillGrain.EnsureRunning"/> is called every few seconds), and it goes on from the stored progress.
/// </summary>
[KeepAlive]
[Reentrant]
internal sealed class BackfillGrain(
    PipelineConfiguration configuration, IBackfillStore store, IReplayStore replays, IChunkReaderFactory readers, TimeProvider time, ILogger<BackfillGrain> logger)
    : Grain, IBackfillGrain, IDisposable
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
        if (await store.Get(id, stop) is not { State: BackfillState.Running } backfill)
            return;
        if (!configuration.Sources.TryGetValue(backfill.Source, out var source))
        {
            if (await store.Begin(id, stop) is { } begun)
                await store.End(begun, $"Source '{backfill.Source}' is not configured any more. Configure it again, and start another backfill.", stop);
            return;
        }

        await using var reader = readers.Create(source);
        await new BackfillRunner(store, replays, reader, new GrainSource(source, GrainFactory), source.Backfill, time, logger).Run(id, stop);
    }

    private sealed class GrainSource(SourceConfiguration source, IGrainFactory grains) : IBackfillSource
    {
        public int Partitions => source.Partitions;

        public Task<long> Generation(int partition) => Partition(partition).GetGeneration().AsTask();

        public Task<ChunkAnswer> Merge(int partition, ChunkSlice slice) => Partition(partition).Merge(slice).AsTask();

        public Task Watch(int partition, long backfill, int table, string name, TableWatch watch) => Partition(partition).Watch(backfill, table, name, watch).AsTask();

        public Task<string[]?> TakeIncomplete(int partition, int table) => Partition(partition).TakeIncomplete(table).AsTask();

        public async Task<(bool IsReached, string? Waiting)> HasReached(Lsn position)
        {
            var reader = grains.GetGrain<IWalReaderGrain>(source.Name);
            var status = await reader.GetStatus();
            if (status.ConfirmedLsn >= position && status.State == SourceState.Streaming)
                return (true, null);
            await reader.WriteHeartbeat();
            return (false, $"The stream of source '{source.Name}' has not reached {position} yet: it is {status.State.ToString().ToLowerInvariant()} at {status.ConfirmedLsn}.{(status.Detail is { } detail ? " " + detail : "")}");
        }

        private IPartitionGrain Partition(int index) => grains.GetGrain<IPartitionGrain>(PartitionKey.For(source.Name, index));
    }
}
