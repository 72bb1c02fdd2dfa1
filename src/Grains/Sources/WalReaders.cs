using System.Collections.Concurrent;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>The WAL readers that run on this silo. They are stopped before the silo stops. Safe for concurrent use.</summary>
internal sealed class WalReaders(
    PipelineConfiguration configuration, ISourceCaptureFactory captures, ICheckpointStore store, IConfirmedPositions positions, TimeProvider time,
    ILogger<WalReader> logger)
{
    private readonly ConcurrentDictionary<string, WalReader> _running = new();

    /// <summary>Starts the reader of a source.</summary>
    /// <exception cref="KeyNotFoundException">No such source is configured.</exception>
    public WalReader Start(string source, IGrainFactory grains, string silo)
    {
        if (!configuration.Sources.TryGetValue(source, out var found))
            throw new KeyNotFoundException($"No source '{source}' is configured on this silo.");
        var reader = new WalReader(found, captures.Create(found), store, positions, grains, time, logger, silo);
        _running[source] = reader;
        return reader;
    }

    /// <summary>Removes a reader that has ended.</summary>
    public void Ended(string source, WalReader reader) => _running.TryRemove(new KeyValuePair<string, WalReader>(source, reader));

    /// <summary>Stops all readers: they stop reading, what was read becomes durable, and the slots are confirmed.</summary>
    /// <param name="patience">Longest time for each; what is not durable by then is streamed again.</param>
    public Task StopAll(TimeSpan patience) => Task.WhenAll(_running.Values.Select(r => r.Stop(patience)));
}
