using System.Reflection;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Gateway.Api;

/// <summary>Says in the API's words what was read from the cluster.</summary>
internal static class Reporting
{
    private static readonly string Version =
        typeof(Reporting).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0.0.0";

    public static PipelineStatus Pipeline(string cluster, IReadOnlyList<SourceStatusResult> results) =>
        new(cluster, "CdcOrleans", Version, Overall(results), [.. results.Select(Summary)]);

    public static PipelineState Overall(IReadOnlyList<SourceStatusResult> results) =>
        results.Any(r => r.Status?.State is null or SourceState.Failed or SourceState.Stopped) ? PipelineState.Failed
        : results.All(r => r.Status!.State == SourceState.Streaming && r.Status.Silos.Values.All(IsWell)) ? PipelineState.Running
        : PipelineState.Degraded;

    public static SourceSummary Summary(SourceStatusResult reading) => new(
        reading.Source.Name, State(reading), Detail(reading),
        reading.Status is { } s ? LagOf(s) : null,
        Finite(reading.Status?.ChangesPerSecond), reading.Status is { } status ? Slowest(status) : null,
        Sinks(reading));

    public static SourceReadiness Ready(SourceStatusResult reading) =>
        new(reading.Source.Name, reading.IsReady, State(reading), Detail(reading));

    public static SourceDetail Source(SourceStatusResult reading) => new()
    {
        Name = reading.Source.Name,
        State = State(reading),
        Detail = Detail(reading),
        Slot = reading.Source.Slot,
        Publication = reading.Source.Publication,
        Reader = reading.Status is { } status ? Reader(status) : null,
        Sinks = Sinks(reading),
        Silos = reading.Status is null
            ? []
            : [.. reading.Status.Silos.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => Silo(s.Key, s.Value))],
    };

    private static ReaderDetail Reader(SourceStatus status) => new()
    {
        Silo = status.Silo,
        Epoch = status.Epoch,
        Positions = new Positions(Text(status.ServerLsn), Text(status.ReceivedLsn), Text(status.ConfirmedLsn)),
        Lag = LagOf(status),
        RetainedBytes = status.RetainedBytes,
        Window = new Window(status.WindowChanges, status.WindowChangesLimit, status.WindowBytes, status.WindowBytesLimit),
        Changes = status.Changes,
        Transactions = status.Transactions,
        ChangesPerSecond = Finite(status.ChangesPerSecond),
        Heartbeats = status.Heartbeats,
        Partitions = status.Partitions,
        Latency = Slowest(status),
    };

    private static SiloDetail Silo(string name, SiloFigures figures) => new()
    {
        Silo = name,
        Partitions = figures.Partitions,
        Finished = figures.Finished,
        Duplicates = figures.Duplicates,
        DeadLetters = figures.DeadLetters,
        Unrouted = figures.Unrouted,
        Skipped = figures.Skipped,
        LiveEntities = figures.LiveEntities,
        LiveEntityBytes = figures.LiveEntityBytes,
        StateReads = figures.StateReads,
        Checkpoints = figures.Checkpoints,
        StatesWritten = figures.StatesWritten,
        CheckpointError = figures.CheckpointError,
        Latency = new Latency(Finite(figures.LatencyP50), Finite(figures.LatencyP99), Finite(figures.LatencyMax)),
        Sinks = [.. figures.Sinks.Select(s => Sink([s]))],
    };

    // A sink exists once per silo; it is well where it is well everywhere.
    private static SinkHealth[] Sinks(SourceStatusResult reading) => reading.Status is null
        ? []
        : [.. reading.Status.Silos.Values.SelectMany(s => s.Sinks)
            .GroupBy(s => s.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => Sink([.. g]))];

    private static SinkHealth Sink(SinkStatus[] parts) => new(
        parts[0].Name, parts[0].Type, parts.All(p => p.Healthy),
        (parts.FirstOrDefault(p => !p.Healthy && p.LastError is not null) ?? parts.FirstOrDefault(p => p.LastError is not null))?.LastError,
        parts.Sum(p => p.Delivered), parts.Sum(p => p.Refused), parts.Sum(p => p.Waiting));

    private static bool IsWell(SiloFigures figures) => figures.CheckpointError is null && figures.Sinks.All(s => s.Healthy);

    private static ReportedState State(SourceStatusResult reading) => reading.Status?.State switch
    {
        SourceState.Starting => ReportedState.Starting,
        SourceState.Streaming => ReportedState.Streaming,
        SourceState.Holding => ReportedState.Holding,
        SourceState.Retrying => ReportedState.Retrying,
        SourceState.Failed => ReportedState.Failed,
        SourceState.Stopped => ReportedState.Stopped,
        _ => ReportedState.Unknown,
    };

    private static string? Detail(SourceStatusResult reading) => reading.Status is { } status ? status.Detail : reading.Trouble?.Message;

    private static Lag LagOf(SourceStatus status) => new(status.LagBytes, Finite(status.LagSeconds));

    private static Latency Slowest(SourceStatus status) =>
        new(Highest(status, f => f.LatencyP50), Highest(status, f => f.LatencyP99), Highest(status, f => f.LatencyMax));

    private static double? Highest(SourceStatus status, Func<SiloFigures, double> figure) =>
        status.Silos.Values.Select(figure).Where(double.IsFinite).Select(v => (double?)v).Max();

    private static double? Finite(double? value) => value is { } v && double.IsFinite(v) ? v : null;

    private static string? Text(Lsn lsn) => lsn.IsNone ? null : lsn.ToString();
}
