using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Hosting;

/// <summary>
/// Pokes every source's reader once the silo is up, so that none waits for its reminder; and stops the readers that run here before
/// the silo stops, while partitions and sinks still work.
/// </summary>
internal sealed partial class PipelineLifetime(
    PipelineConfiguration configuration, IGrainFactory grains, WalReaders readers, ILogger<PipelineLifetime> logger)
    : BackgroundService
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    /// <inheritdoc />
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await readers.StopAll(StopPatience);
    }

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var waiting = configuration.Sources.Keys.ToHashSet();
        while (waiting.Count > 0 && !stoppingToken.IsCancellationRequested)
        {
            foreach (var source in waiting.ToArray())
            {
                try
                {
                    await grains.GetGrain<IWalReaderGrain>(source).EnsureRunning();
                    waiting.Remove(source);
                }
#pragma warning disable CA1031 // The silo may still be joining the cluster; the reminder would bring the reader up as well.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    LogNotStarted(logger, source, exception.Message);
                }
            }

            if (waiting.Count > 0)
                await Task.Delay(Retry, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: the reader could not be started yet: {Error}")]
    private static partial void LogNotStarted(ILogger logger, string source, string error);
}
