using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Runtime;

/// <summary>
/// Which sinks are paused, as this silo knows it. The control database has the truth; every silo reads it twice a second, and once before
/// its first partition starts, so that nothing passes after a restart. Safe for concurrent use.
/// </summary>
internal sealed partial class SinkPauses(ISinkStore store, ILogger<SinkPauses> logger) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Lock _gate = new();
    private readonly List<SourceOutlets> _outlets = [];
    private volatile IReadOnlyDictionary<string, SinkPause>? _known;

    /// <summary>Adds the outlets of a source. They are told what is paused, now and after every change.</summary>
    public void Add(SourceOutlets outlets)
    {
        lock (_gate)
        {
            _outlets.Add(outlets);
            if (_known is { } known)
                outlets.SetPauses(known);
        }
    }

    /// <summary>Reads once, unless this silo has read before.</summary>
    /// <exception cref="System.Data.Common.DbException">The control database does not answer.</exception>
    public Task EnsureRead(CancellationToken cancellation) => _known is null ? Read(cancellation) : Task.CompletedTask;

    /// <summary>Reads what is paused, and tells the outlets.</summary>
    /// <exception cref="System.Data.Common.DbException">The control database does not answer.</exception>
    public async Task Read(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var paused = (await store.Paused(cancellation)).ToDictionary(p => p.Sink);
            lock (_gate)
            {
                LogChanges(_known ?? new Dictionary<string, SinkPause>(), paused);
                _known = paused;
                foreach (var outlets in _outlets)
                    outlets.SetPauses(paused);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc />
    public void Dispose() => _turn.Dispose();

    private void LogChanges(IReadOnlyDictionary<string, SinkPause> before, Dictionary<string, SinkPause> now)
    {
        foreach (var pause in now.Values.Where(p => !before.ContainsKey(p.Sink)))
            LogPaused(logger, pause.Sink, pause.Who, pause.Since);
        foreach (var sink in before.Keys.Where(s => !now.ContainsKey(s)))
            LogResumed(logger, sink);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sink {Sink} is paused by {Who} since {Since:u}: nothing is passed to it until it is resumed")]
    private static partial void LogPaused(ILogger logger, string sink, string who, DateTimeOffset since);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sink {Sink} is resumed")]
    private static partial void LogResumed(ILogger logger, string sink);
}
