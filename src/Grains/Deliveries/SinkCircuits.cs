using System.Collections.Immutable;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// The circuits of one sink: that of the whole sink, and one for each destination within it that fails. Says what may pass, and learns from
/// what succeeds and fails. Safe for concurrent use.
/// </summary>
/// <param name="source">Name of the source.</param>
/// <param name="sink">The sink.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Its log.</param>
/// <param name="chance">The next random number from 0 to 1.</param>
internal sealed partial class SinkCircuits(string source, ISink sink, TimeProvider time, ILogger logger, Func<double> chance)
{
    /// <summary>Most destinations that are named.</summary>
    private const int MostNamed = 19;

    private readonly Circuit _whole = new(time, chance);

    // Empty as a rule, and asked for each event: a ConcurrentDictionary would take all its locks to say that it is empty.
    private ImmutableDictionary<string, Circuit> _destinations = ImmutableDictionary.Create<string, Circuit>(StringComparer.Ordinal);
    private readonly LastSuccess _success = new();

    private ImmutableDictionary<string, Circuit> Destinations => Volatile.Read(ref _destinations);

    /// <summary>Whether the circuit of the whole sink is open: nothing passes but probes.</summary>
    public bool IsOpen => _whole.IsOpen;

    /// <summary>Whether the circuit of the whole sink is open, and it is not time for a probe.</summary>
    public bool IsShut => _whole.IsShut;

    /// <summary>The last failure of the whole sink; null when something succeeded after it.</summary>
    public string? Error => _whole.Error;

    /// <summary>The open circuits, that of the whole sink first.</summary>
    public IReadOnlyList<OpenCircuit> Open
    {
        get
        {
            var open = Destinations.Where(c => c.Value.IsOpen).Take(MostNamed).Select(c => new OpenCircuit(c.Key, c.Value.Error)).ToList();
            if (_whole.IsOpen)
                open.Insert(0, new OpenCircuit(OpenCircuit.WholeSink, _whole.Error));
            return open;
        }
    }

    /// <summary>Whether the circuit of a destination is open.</summary>
    public bool IsOpenTo(string destination) => Destinations.TryGetValue(destination, out var circuit) && circuit.IsOpen;

    /// <summary>Whether nothing passes to a destination now, because its circuit is open and it is not time for a probe.</summary>
    public bool IsShutTo(string destination) => Destinations.TryGetValue(destination, out var circuit) && circuit.IsShut;

    /// <summary>Whether a circuit that an event must pass is open.</summary>
    public bool IsOpenFor(SinkEvent made) => _whole.IsOpen || (!Destinations.IsEmpty && IsOpenTo(sink.DestinationOf(made)));

    /// <summary>Whether an event may be passed to the sink now. If a circuit is open, the event becomes its probe.</summary>
    public bool TryPass(SinkEvent made)
    {
        if (Destinations is { IsEmpty: false } some && some.TryGetValue(sink.DestinationOf(made), out var destination) && !destination.TryPass())
            return false;
        return _whole.TryPass();
    }

    /// <summary>Whether the sink, or the target's part of it, has accepted an event since a share was passed first.</summary>
    public bool HasSucceededSince(SinkShare share, FailureScope scope) =>
        (scope == FailureScope.Destination ? share.Target.SucceededAt : _success.At) >= share.FirstPassedAt;

    /// <summary>Records a failure.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="patience">A circuit opens when nothing has succeeded for this time.</param>
    public void Failed(DeliveryFailure failure, TimeSpan patience)
    {
        var opened = failure.Scope switch
        {
            FailureScope.Sink => _whole.Failed(failure.Error, patience),
            FailureScope.Destination => OfDestination(failure.Destination!).Failed(failure.Error, patience),
            _ => false,
        };
        if (failure.Scope != FailureScope.Sink)
            _whole.Succeeded();
        if (opened)
            LogOpened(logger, source, sink.Name, failure.Destination ?? "", failure.Error);
    }

    /// <summary>Records that the sink accepted an event.</summary>
    public void Succeeded(SinkTarget? target, SinkEvent made)
    {
        var now = time.GetTimestamp();
        _success.At = now;
        if (target is not null)
            target.SucceededAt = now;
        if (!Destinations.IsEmpty && sink.DestinationOf(made) is var name && ImmutableInterlocked.TryRemove(ref _destinations, name, out var destination) && destination.Succeeded())
            LogClosed(logger, source, sink.Name, name);

        if (_whole.Succeeded())
            LogClosed(logger, source, sink.Name, "");
    }

    /// <summary>
    /// Records that the sink does not answer a share. If others were answered meanwhile, the sink is not out of reach, but perhaps the
    /// destination.
    /// </summary>
    public void Overdue(SinkShare share, string error)
    {
        if (_success.At < share.PassedAt)
        {
            if (_whole.Trip(error))
                LogOpened(logger, source, sink.Name, "", error);
        }
        else if (share.Target.SucceededAt < share.PassedAt)
        {
            var destination = sink.DestinationOf(share[0]);
            if (OfDestination(destination).Trip(error))
                LogOpened(logger, source, sink.Name, destination, error);
        }
    }

    private Circuit OfDestination(string name) =>
        ImmutableInterlocked.GetOrAdd(ref _destinations, name, static (_, circuits) => new Circuit(circuits.time, circuits.chance), (time, chance));

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: sink {Sink} {Destination} accepts nothing, its circuit opens: {Error}")]
    private static partial void LogOpened(ILogger logger, string source, string sink, string destination, string error);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: sink {Sink} {Destination} accepts events again, its circuit closes")]
    private static partial void LogClosed(ILogger logger, string source, string sink, string destination);
}
