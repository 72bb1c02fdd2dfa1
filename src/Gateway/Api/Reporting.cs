using System.Reflection;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Gateway.Api;

/// <summary>Converts statuses from the cluster to the models of the API.</summary>
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

    public static SourceSummary Summary(SourceStatusResult result) => new(
        result.Source.Name, State(result), Detail(result),
        result.Status is { } s ? LagOf(s) : null,
        Finite(result.Status?.ChangesPerSecond), result.Status is { } status ? Slowest(status) : null,
        Sinks(result));

    public static SourceReadiness Ready(SourceStatusResult result) =>
        new(result.Source.Name, result.IsReady, State(result), Detail(result));

    /// <summary>Why a row is not stored, in the words of the API.</summary>
    public static string? Absence(RowAbsence absence) => absence switch
    {
        RowAbsence.TooLarge => "tooLarge",
        RowAbsence.Unreadable => "unreadable",
        RowAbsence.Doubtful => "doubtful",
        _ => null,
    };

    public static SourceDetail Source(SourceStatusResult result) => new()
    {
        Name = result.Source.Name,
        State = State(result),
        Detail = Detail(result),
        Slot = result.Source.Slot,
        Publication = result.Source.Publication,
        Reader = result.Status is { } status ? Reader(status) : null,
        LeftOut = result.Status?.LeftOut ?? [],
        Sinks = Sinks(result),
        Silos = result.Status is null
            ? []
            : [.. result.Status.Silos.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => Silo(s.Key, s.Value))],
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
        AwakeEntities = figures.AwakeEntities,
        EntitiesWoken = figures.EntitiesWoken,
        EntitiesPutToSleep = figures.EntitiesPutToSleep,
        AppliedInPassing = figures.AppliedInPassing,
        EntityFaults = figures.EntityFaults,
        LastEntityFault = figures.LastEntityFault,
        EntityBytes = figures.EntityBytes,
        Memory = new MemoryDetail(
            figures.MemoryLimit, figures.MemoryOfWindow, figures.MemoryOfApplies, figures.MemoryOfUnsaved, figures.WaitingForMemory),
        StateReads = figures.StateReads,
        Checkpoints = figures.Checkpoints,
        StatesWritten = figures.StatesWritten,
        RowsTooLarge = figures.RowsTooLarge,
        RowsUnreadable = figures.RowsUnreadable,
        LastRowNotStored = figures.LastRowNotStored,
        CheckpointError = figures.CheckpointError,
        Latency = new Latency(Finite(figures.LatencyP50), Finite(figures.LatencyP99), Finite(figures.LatencyMax)),
        Sinks = [.. figures.Sinks.Select(s => Sink([s]))],
    };

    // There is one instance of a sink per silo. It is healthy when all instances are.
    private static SinkHealth[] Sinks(SourceStatusResult result) => result.Status is null
        ? []
        : [.. result.Status.Silos.Values.SelectMany(s => s.Sinks)
            .GroupBy(s => s.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => Sink([.. g]))];

    /// <summary>A sink of one source, summed over silos.</summary>
    public static SinkHealth Sink(SinkStatus[] parts) => new(
        parts[0].Name, parts[0].Type, parts.All(p => p.Healthy),
        (parts.FirstOrDefault(p => !p.Healthy && p.LastError is not null) ?? parts.FirstOrDefault(p => p.LastError is not null))?.LastError,
        parts.Sum(p => p.Delivered), parts.Sum(p => p.Refused), parts.Sum(p => p.Waiting), parts.Sum(p => p.Failed),
        parts.Sum(p => p.Parked), parts.Sum(p => p.ParkedBytes), parts.Sum(p => p.Held), parts.Any(p => p.IsFull), [.. parts.SelectMany(p => p.OpenCircuits).Distinct().Select(c => c.ToString())],
        parts.Select(p => SinkReporting.Paused(p.Pause?.Who, p.Pause?.Since ?? default)).FirstOrDefault(p => p is not null));

    private static bool IsWell(SiloFigures figures) => figures.CheckpointError is null && figures.Sinks.All(s => s is { Healthy: true, Pause: null });

    private static ReportedState State(SourceStatusResult result) => result.Status?.State switch
    {
        SourceState.Starting => ReportedState.Starting,
        SourceState.Streaming => ReportedState.Streaming,
        SourceState.Holding => ReportedState.Holding,
        SourceState.Retrying => ReportedState.Retrying,
        SourceState.Failed => ReportedState.Failed,
        SourceState.Stopped => ReportedState.Stopped,
        _ => ReportedState.Unknown,
    };

    private static string? Detail(SourceStatusResult result) => result.Status is { } status ? status.Detail : result.Trouble?.Message;

    private static Lag LagOf(SourceStatus status) => new(status.LagBytes, Finite(status.LagSeconds));

    private static Latency Slowest(SourceStatus status) =>
        new(Highest(status, f => f.LatencyP50), Highest(status, f => f.LatencyP99), Highest(status, f => f.LatencyMax));

    private static double? Highest(SourceStatus status, Func<SiloFigures, double> figure) =>
        status.Silos.Values.Select(figure).Where(double.IsFinite).Select(v => (double?)v).Max();

    private static double? Finite(double? value) => value is { } v && double.IsFinite(v) ? v : null;

    private static string? Text(Lsn lsn) => lsn.IsNone ? null : lsn.ToString();
}
