using System.Diagnostics.Metrics;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The metrics of the pipeline. They show the last status that the reader of each source reported, so a gateway in a process of its own has
/// them too. When the status of a source cannot be read, only <c>cdc.source.reachable</c> is shown for it.
/// </summary>
internal sealed class SourceMetrics
{
    private volatile IReadOnlyList<SourceStatusResult> _results = [];
    private volatile IReadOnlyList<SinkView> _sinks = [];

    public SourceMetrics(IMeterFactory meters, TimeProvider time)
    {
        var meter = meters.Create(CdcMeter.Name);
        meter.CreateObservableGauge("cdc.source.reachable", Reachable, null, "1 while the source's status can be read, else 0.");
        meter.CreateObservableGauge("cdc.source.state", States, null, "1 for the state the source is in, 0 for the others.");
        Gauge("cdc.source.lag.bytes", "By", "Log between the server's end and the confirmed position.", s => s.LagBytes);
        Gauge("cdc.source.lag.seconds", "s", "Age of the oldest commit that is not yet durable.", s => s.LagSeconds);
        Gauge("cdc.source.server_lsn", null, "End of the source server's log, as a number.", s => s.ServerLsn.Value);
        Gauge("cdc.source.received_lsn", null, "Last position read, as a number.", s => s.ReceivedLsn.Value);
        Gauge("cdc.source.confirmed_lsn", null, "Position up to which everything is durable, as a number.", s => s.ConfirmedLsn.Value);
        Gauge("cdc.source.retained.bytes", "By", "Log that the server keeps for the slot.", s => s.RetainedBytes);
        Gauge("cdc.source.window.changes", "{change}", "Changes in the window: read, not yet durable.", s => s.WindowChanges);
        Gauge("cdc.source.window.limit.changes", "{change}", "Limit of the window in changes.", s => s.WindowChangesLimit);
        Gauge("cdc.source.window.bytes", "By", "Bytes in the window: read, not yet durable.", s => s.WindowBytes);
        Gauge("cdc.source.window.limit.bytes", "By", "Limit of the window in bytes.", s => s.WindowBytesLimit);
        Gauge("cdc.source.epoch", null, "Epoch of the source's reader; rises with every start of the reader.", s => s.Epoch);
        Counter("cdc.source.changes", "{change}", "Changes read since the reader started.", s => s.Changes);
        Counter("cdc.source.transactions", "{transaction}", "Transactions read since the reader started.", s => s.Transactions);
        Counter("cdc.source.heartbeats", "{heartbeat}", "Heartbeats seen in the log since the reader started.", s => s.Heartbeats);

        SiloGauge("cdc.entities.awake", "{entity}", "Entities that have an activation.", f => f.AwakeEntities);
        SiloGauge("cdc.entities.bytes", "By", "Bytes that awake entities, and states written lately, keep in memory.", f => f.EntityBytes);
        SiloGauge("cdc.memory.limit.bytes", "By", "Memory that the source may use for changes in progress.", f => f.MemoryLimit);
        SiloGauge("cdc.memory.window.bytes", "By", "The part of this memory that is for changes in the window.", f => f.MemoryOfWindow);
        SiloGauge("cdc.memory.applies.bytes", "By", "Reserved by applies in progress: stored rows, completed rows, events.", f => f.MemoryOfApplies);
        SiloGauge("cdc.memory.unsaved.bytes", "By", "States and dead letters that are not durable yet.", f => f.MemoryOfUnsaved);
        SiloGauge("cdc.memory.waiting", "{apply}", "Applies, and reads of states, that wait for memory.", f => f.WaitingForMemory);
        SiloCounter("cdc.entities.woken", "{entity}", "Times that an entity woke.", f => f.EntitiesWoken);
        SiloCounter("cdc.entities.put_to_sleep", "{entity}", "Times that an entity was put to sleep.", f => f.EntitiesPutToSleep);
        SiloCounter("cdc.entities.faults", "{change}", "Changes that an entity could not apply, and gave up on.", f => f.EntityFaults);
        SiloCounter("cdc.changes.applied_in_passing", "{change}", "Changes of sleeping entities that were applied without waking them.", f => f.AppliedInPassing);
        SiloGauge("cdc.partitions", "{partition}", "Partitions of the source that the silo has.", f => f.Partitions);
        SiloGauge("cdc.checkpoint.healthy", null, "1 unless the silo's last checkpoint failed.", f => f.CheckpointError is null ? 1 : 0);
        SiloCounter("cdc.changes.finished", "{change}", "Changes delivered to every route or dead-lettered.", f => f.Finished);
        SiloCounter("cdc.changes.duplicates", "{change}", "Changes skipped because they had been applied before.", f => f.Duplicates);
        SiloCounter("cdc.changes.unrouted", "{change}", "Changes that no route selects.", f => f.Unrouted);
        SiloCounter("cdc.changes.skipped", "{change}", "Changes that made no event because their operation is skipped.", f => f.Skipped);
        SiloCounter("cdc.dead_letters", "{event}", "Events dead-lettered.", f => f.DeadLetters);
        SiloCounter("cdc.states.read", "{state}", "Entity states read from the store.", f => f.StateReads);
        SiloCounter("cdc.states.written", "{state}", "Entity states written by checkpoints.", f => f.StatesWritten);
        SiloCounter("cdc.states.too_large", "{state}", "States stored without their row, because it is too large.", f => f.RowsTooLarge);
        SiloCounter("cdc.states.unreadable", "{state}", "Stored rows that could not be read.", f => f.RowsUnreadable);
        SiloCounter("cdc.checkpoints", "{checkpoint}", "Checkpoints committed.", f => f.Checkpoints);
        meter.CreateObservableGauge(
            "cdc.delivery.latency", Latencies, "ms", "Time from commit to the last sink's acknowledgement over the last seconds; quantile 1 is the maximum.");

        meter.CreateObservableGauge(
            "cdc.sink.healthy", () => OfSinks(s => s.Healthy ? 1 : 0), null, "1 while the sink's destination takes events, else 0.");
        meter.CreateObservableGauge(
            "cdc.sink.waiting", () => OfSinks(s => s.Waiting), "{event}", "Events handed to the sink and not yet completed.");
        meter.CreateObservableCounter(
            "cdc.sink.delivered", () => OfSinks(s => s.Delivered), "{event}", "Events delivered since the silo started.");
        meter.CreateObservableGauge(
            "cdc.sink.parked", () => OfSinks(s => s.Parked), "{event}", "Parked events of the silo's partitions.");
        meter.CreateObservableGauge(
            "cdc.sink.parked.bytes", () => OfSinks(s => s.ParkedBytes), "By", "Bytes of the parked events.");
        meter.CreateObservableGauge(
            "cdc.sink.parked.oldest", () => OfSinks(s => s.OldestParkedSeconds), "s", "Time since the parked event that has waited longest was tried first.");
        meter.CreateObservableGauge(
            "cdc.sink.held", () => OfSinks(s => s.Held), "{delivery}", "Deliveries that wait by the policy hold, or for room among the parked events.");
        meter.CreateObservableGauge(
            "cdc.sink.circuits.open", () => OfSinks(s => s.OpenCircuits.Count), "{circuit}", "Open circuits of the sink and its destinations.");
        meter.CreateObservableCounter(
            "cdc.sink.failed", () => OfSinks(s => s.Failed), "{event}", "Events that failed for now since the silo started, once for each attempt.");
        meter.CreateObservableCounter(
            "cdc.sink.refused", () => OfSinks(s => s.Refused), "{event}", "Events refused for good since the silo started.");

        meter.CreateObservableCounter(
            "cdc.sink.attempts", () => OfSinks(s => s.Attempts), "{event}", "Events passed to the sink since the silo started, once for each attempt.");
        meter.CreateObservableGauge(
            "cdc.sink.paused", () => OfSinks(s => s.Pause is null ? 0 : 1), null, "1 while the sink is paused, else 0.");
        StageMetrics.Add(meter, () => Statuses);

        meter.CreateObservableGauge("cdc.stored.dead_letters", () => Stored(s => s.DeadLetters), "{event}", "Dead letters in the control database.");
        meter.CreateObservableGauge("cdc.stored.parked", () => Stored(s => s.Parked), "{event}", "Parked events in the control database.");
        meter.CreateObservableGauge("cdc.stored.parked.bytes", () => Stored(s => s.ParkedBytes), "By", "Bytes of the parked events in the control database.");
        meter.CreateObservableGauge(
            "cdc.stored.parked.oldest", () => Stored(s => s.OldestParkedAt is { } at ? Math.Max(0, (long)(time.GetUtcNow() - at).TotalSeconds) : 0), "s",
            "Time since the parked event that has waited longest was tried first.");

        void Gauge(string name, string? unit, string description, Func<SourceStatus, double> figure) =>
            meter.CreateObservableGauge(name, () => OfSources(figure), unit, description);

        void Counter(string name, string unit, string description, Func<SourceStatus, long> figure) =>
            meter.CreateObservableCounter(name, () => OfSources(figure), unit, description);

        void SiloGauge(string name, string? unit, string description, Func<SiloFigures, long> figure) =>
            meter.CreateObservableGauge(name, () => OfSilos(figure), unit, description);

        void SiloCounter(string name, string unit, string description, Func<SiloFigures, long> figure) =>
            meter.CreateObservableCounter(name, () => OfSilos(figure), unit, description);
    }

    /// <summary>Sets the statuses and sinks that the metrics show.</summary>
    public void Show(IReadOnlyList<SourceStatusResult> results, IReadOnlyList<SinkView> sinks) => (_results, _sinks) = (results, sinks);

    private IEnumerable<Measurement<int>> Reachable() =>
        _results.Select(r => new Measurement<int>(r.Status is null ? 0 : 1, Tag("source", r.Source.Name)));

    private IEnumerable<Measurement<int>> States() =>
        from status in Statuses
        from state in Enum.GetValues<SourceState>()
        select new Measurement<int>(
            status.State == state ? 1 : 0, Tag("source", status.Source), Tag("state", state.ToString().ToLowerInvariant()));

    private IEnumerable<Measurement<double>> Latencies() =>
        from status in Statuses
        from silo in status.Silos
        from point in new[] { ("0.5", silo.Value.LatencyP50), ("0.99", silo.Value.LatencyP99), ("1", silo.Value.LatencyMax) }
        where double.IsFinite(point.Item2)
        select new Measurement<double>(
            point.Item2, Tag("source", status.Source), Tag("silo", silo.Key), Tag("quantile", point.Item1));

    private IEnumerable<Measurement<T>> OfSources<T>(Func<SourceStatus, T> figure)
        where T : struct =>
        Statuses.Select(s => new Measurement<T>(figure(s), Tag("source", s.Source)));

    private IEnumerable<Measurement<long>> OfSilos(Func<SiloFigures, long> figure) =>
        from status in Statuses
        from silo in status.Silos
        select new Measurement<long>(figure(silo.Value), Tag("source", status.Source), Tag("silo", silo.Key));

    private IEnumerable<Measurement<long>> OfSinks(Func<SinkStatus, long> figure) =>
        from status in Statuses
        from silo in status.Silos
        from sink in silo.Value.Sinks
        select new Measurement<long>(
            figure(sink), Tag("source", status.Source), Tag("silo", silo.Key), Tag("sink", sink.Name), Tag("type", sink.Type));

    private IEnumerable<Measurement<long>> Stored(Func<SinkStored, long> figure) =>
        from sink in _sinks
        from stored in sink.Stored ?? []
        select new Measurement<long>(figure(stored), Tag("source", stored.Source), Tag("sink", sink.Name), Tag("table", stored.Table));

    private IEnumerable<SourceStatus> Statuses => _results.Where(r => r.Status is not null).Select(r => r.Status!);

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
