using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Placement;
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
        if (await store.Get(id, _stop.Token) is not { State: BackfillState.Running } backfill)
            return;
        if (!configuration.Sources.TryGetValue(backfill.Source, out var source))
        {
            if (await store.Begin(id, _stop.Token) is { } begun)
                await store.End(begun, $"Source '{backfill.Source}' is not configured any more. Configure it again, and start another backfill.", _stop.Token);
            return;
        }

        await using var reader = readers.Create(source);
        await new BackfillRunner(store, replays, reader, new GrainSource(source, GrainFactory), source.Backfill, time, logger).Run(id, _stop.Token);
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
