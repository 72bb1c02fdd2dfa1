using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>
/// Starts the reader of every source when the silo has started, and whenever another silo has left the cluster. So when the reader's silo
/// fails, another silo activates the reader at once and does not wait for its reminder. Stops the readers on this silo before the silo
/// stops, while partitions and sinks still work.
/// </summary>
internal sealed partial class PipelineLifetime(
    PipelineConfiguration configuration, IGrainFactory grains, WalReaders readers, IClusterMembershipService membership, TimeProvider time,
    ILogger<PipelineLifetime> logger)
    : BackgroundService
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);
    private static readonly RetryPolicy Retries = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), Jitter: 0);

    /// <inheritdoc />
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await readers.StopAll(StopPatience);
    }

    /// <inheritdoc />
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(configuration.Sources.Keys.Select(source => Keep(source, stoppingToken)));

    // The calls may fail while a silo joins the cluster or leaves it, so they are retried.
    private async Task Keep(string source, CancellationToken stopping)
    {
        try
        {
            var retry = Retries.Pipeline(time, (exception, _) => LogNotStarted(logger, source, exception.Message));
            await Call();
            HashSet<SiloAddress> before = [];
            await foreach (var snapshot in membership.MembershipUpdates.WithCancellation(stopping))
            {
                HashSet<SiloAddress> active = [.. PartitionHomes.ActiveIn(snapshot)];
                if (!before.IsSubsetOf(active))
                    await Call();
                before = active;
            }

            async Task Call() =>
                await retry.ExecuteAsync(async token => await grains.GetGrain<IWalReaderGrain>(source).EnsureRunning().AsTask().WaitAsync(token), stopping);
        }
#pragma warning disable CA1031 // The silo stops, so nothing must be started any more.
        catch (Exception) when (stopping.IsCancellationRequested)
#pragma warning restore CA1031
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: the reader could not be started yet: {Error}")]
    private static partial void LogNotStarted(ILogger logger, string source, string error);
}
