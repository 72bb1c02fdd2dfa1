using System.Collections.Concurrent;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>A part of a source that has parked events.</summary>
internal interface IHasParked
{
    /// <summary>Tries parked events that are due. Any thread.</summary>
    void TryParked();
}

/// <summary>
/// The outlets of a source on this silo, one for each sink. Four times a second it lets them look after their deliveries, and the
/// partitions after their parked events. An error is logged, and the next time comes all the same.
/// </summary>
internal sealed partial class SourceOutlets : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly int _allPartitions;
    private readonly IReadOnlyDictionary<string, long> _spill;
    private readonly ConcurrentDictionary<IHasParked, bool> _partitions = new();
    private readonly ConcurrentDictionary<string, (long Events, long Bytes)> _unreachable = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _run = Task.CompletedTask;

    /// <param name="source">Name of the source.</param>
    /// <param name="partitions">Number of partitions of the source, on all silos.</param>
    /// <param name="sinks">The sinks.</param>
    /// <param name="spill">Limit of the parked events of each sink in bytes, over all silos.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log of the outlets.</param>
    /// <param name="chance">The next random number from 0 to 1, for jitter; null for one that cannot be foretold.</param>
    public SourceOutlets(
        string source, int partitions, IEnumerable<ISink> sinks, IReadOnlyDictionary<string, long> spill, TimeProvider time, ILogger logger,
        Func<double>? chance = null)
    {
        _time = time;
        _logger = logger;
        _allPartitions = partitions;
        _spill = spill;
        ByName = sinks.ToDictionary(s => s.Name, s => new Outlet(source, s, time, logger, chance));
    }

    /// <summary>The outlets by the names of their sinks.</summary>
    public IReadOnlyDictionary<string, Outlet> ByName { get; }

    /// <summary>Returns how the sinks are doing, with what is parked for them; also of sinks that are not configured and have parked events.</summary>
    public SinkStatus[] Status()
    {
        var all = ByName.Values.Select(o => o.Status).ToDictionary(s => s.Name);
        foreach (var (sink, (events, bytes)) in _unreachable.Where(u => u.Value.Events > 0))
        {
            var status = all.GetValueOrDefault(sink)
                ?? new SinkStatus { Name = sink, Type = "removed", Healthy = true, Delivered = 0, Refused = 0, Failed = 0, Waiting = 0 };
            all[sink] = status with
            {
                Healthy = false,
                LastError = status.LastError
                    ?? $"{events} parked events wait for sink '{sink}', and no route leads from their tables to it. Configure the sink and its route again.",
                Parked = status.Parked + events,
                ParkedBytes = status.ParkedBytes + bytes,
            };
        }

        return [.. all.Values];
    }

    /// <summary>Counts parked events for which there is no route, or takes them off the count when negative.</summary>
    /// <param name="sink">The sink for which they were parked.</param>
    /// <param name="events">Number of events.</param>
    /// <param name="bytes">Their bytes.</param>
    public void CountUnreachable(string sink, long events, long bytes) =>
        _unreachable.AddOrUpdate(sink, (events, bytes), (_, before) => (before.Events + events, before.Bytes + bytes));

    /// <summary>Tells the outlets which sinks are paused, by their names.</summary>
    public void SetPauses(IReadOnlyDictionary<string, SinkPause> paused)
    {
        foreach (var (name, outlet) in ByName)
            outlet.Paused = paused.GetValueOrDefault(name);
    }

    /// <summary>Adds a partition that starts on this silo.</summary>
    public void Add(IHasParked partition)
    {
        _partitions[partition] = true;
        ShareSpill();
    }

    /// <summary>Removes a partition that leaves this silo.</summary>
    public void Remove(IHasParked partition)
    {
        _partitions.TryRemove(partition, out _);
        ShareSpill();
    }

    /// <summary>Begins to call <see cref="LookAfter"/>.</summary>
    public void Start() => _run = Task.Run(Run);

    /// <summary>Looks once after all deliveries and parked events.</summary>
    public void LookAfter()
    {
        foreach (var outlet in ByName.Values)
            outlet.Tick();
        foreach (var partition in _partitions.Keys)
            partition.TryParked();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run;
        foreach (var outlet in ByName.Values)
            outlet.Close();
        _stop.Dispose();
    }

    // A silo may park as much as its part of the partitions.
    private void ShareSpill()
    {
        foreach (var (name, outlet) in ByName)
            outlet.SpillLimit = _spill.TryGetValue(name, out var all) ? all / _allPartitions * Math.Max(1, _partitions.Count) : long.MaxValue;
    }

    private async Task Run()
    {
        while (!_stop.IsCancellationRequested)
        {
            await Task.Delay(Interval, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                LookAfter();
            }
#pragma warning disable CA1031 // Without this loop nothing that waits would be sent again.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                LogFault(_logger, exception);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Looking after deliveries failed; it is tried again")]
    private static partial void LogFault(ILogger logger, Exception exception);
}
