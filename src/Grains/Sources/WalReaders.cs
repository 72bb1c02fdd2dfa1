using System.Collections.Concurrent;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>The WAL readers that run on this silo, so that they can be stopped before the silo is.</summary>
internal sealed class WalReaders(
    PipelineConfiguration configuration, ISourceCaptureFactory captures, ICheckpointStore store, ISourceMarks marks, TimeProvider time,
    ILogger<WalReader> logger)
{
    private readonly ConcurrentDictionary<string, WalReader> _running = new();

    /// <summary>Starts the reader of a source.</summary>
    /// <exception cref="KeyNotFoundException">No such source is configured.</exception>
    public WalReader Start(string source, IGrainFactory grains, string silo)
    {
        if (!configuration.Sources.TryGetValue(source, out var found))
            throw new KeyNotFoundException($"No source '{source}' is configured on this silo.");
        var reader = new WalReader(found, captures.Create(found), store, marks, grains, time, logger, silo);
        _running[source] = reader;
        return reader;
    }

    /// <summary>A reader has ended.</summary>
    public void Ended(string source, WalReader reader) => _running.TryRemove(new KeyValuePair<string, WalReader>(source, reader));

    /// <summary>Stops all of them: no more reading, what was read becomes durable, the slots are confirmed.</summary>
    public Task StopAll(TimeSpan patience) => Task.WhenAll(_running.Values.Select(r => r.Stop(patience)));
}
