using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Gateway.Api;

/// <summary>Converts what the cluster says about sinks to the models of the API.</summary>
internal static class SinkReporting
{
    /// <summary>All sinks, by name: those that are configured, and those for which something is stored.</summary>
    /// <param name="results">The statuses of the sources.</param>
    /// <param name="views">What the cluster knows of the sinks apart from the sources.</param>
    public static SinkDetail[] All(IReadOnlyList<SourceStatusResult> results, IReadOnlyList<SinkView> views)
    {
        var bySink = results
            .Where(r => r.Status is not null)
            .SelectMany(r => r.Status!.Silos.Values.SelectMany(s => s.Sinks).Select(status => (Source: r.Source.Name, Status: status)))
            .ToLookup(s => s.Status.Name);
        return
        [
            .. views.Select(v => v.Name).Concat(bySink.Select(s => s.Key)).Distinct().Order(StringComparer.Ordinal)
                .Select(name => Detail(name, [.. bySink[name]], views.FirstOrDefault(v => v.Name == name))),
        ];
    }

    private static SinkDetail Detail(string name, (string Source, SinkStatus Status)[] statuses, SinkView? view) => new()
    {
        Name = name,
        Type = view?.Type ?? statuses.Select(s => s.Status.Type).FirstOrDefault(t => t != "removed") ?? "removed",
        Healthy = statuses.All(s => s.Status.Healthy),
        Paused = view?.Stored is null
            ? statuses.Select(s => Paused(s.Status.Pause?.Who, s.Status.Pause?.Since ?? default)).FirstOrDefault(p => p is not null)
            : Paused(view.PausedBy, view.PausedSince),
        Circuits = [.. statuses.SelectMany(s => s.Status.OpenCircuits.Select(c => new SinkCircuit(s.Source, c.Destination, c.Error))).Distinct()],
        Parked = Parked(statuses),
        DeadLetters = view?.Stored?.Sum(s => s.DeadLetters),
        Routes = [.. (view?.Routes ?? []).Select(Route)],
        Sources =
        [
            .. statuses.GroupBy(s => s.Source, s => s.Status, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => new SinkOfSource(g.Key, Reporting.Sink([.. g]))),
        ],
    };

    /// <summary>A pause; null without one.</summary>
    public static PausedSink? Paused(string? by, DateTimeOffset since) => by is null ? null : new PausedSink(by, since);

    private static ParkedOfSink Parked((string Source, SinkStatus Status)[] statuses)
    {
        var events = statuses.Sum(s => s.Status.Parked);
        return new ParkedOfSink(events, statuses.Sum(s => s.Status.ParkedBytes), events == 0 ? null : statuses.Max(s => s.Status.OldestParkedSeconds));
    }

    private static RouteOfSink Route(SinkRoute route) => new(
        route.From, route.Format,
        new DeliveryOfRoute(
            route.Inline.TotalSeconds, new BackoffOfRoute(route.BackoffFirst.TotalSeconds, route.BackoffMost.TotalSeconds),
            route is { GiveUpAttempts: null, GiveUpAge: null } ? null : new GiveUpOfRoute(route.GiveUpAttempts, route.GiveUpAge?.TotalSeconds),
            route.Blocks ? "block" : "continue", route.Holds ? "hold" : "spill", route.SpillBytes));
}
