using System.Data.Common;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Operations;

/// <summary>What people see and decide about sinks.</summary>
/// <param name="configuration">The configuration of this silo.</param>
/// <param name="store">Which sinks are paused.</param>
/// <param name="backlogs">What is stored for them.</param>
/// <param name="sources">Has the sinks of this silo.</param>
/// <param name="silo">This silo.</param>
/// <param name="time">The clock.</param>
internal sealed class SinkOperations(
    PipelineConfiguration configuration, ISinkStore store, SinkBacklogs backlogs, SourceRuntimes sources, ILocalSiloDetails silo, TimeProvider time)
{
    /// <summary>How long a test of a sink may take. The sink may take a little longer to notice.</summary>
    private static readonly TimeSpan TestTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TestMargin = TimeSpan.FromSeconds(2);

    /// <summary>How long the control database may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Returns all sinks: those that are configured, and those for which something is stored or that are paused.</summary>
    /// <param name="age">How old the counts may be.</param>
    public async Task<SinkView[]> Views(TimeSpan age)
    {
        IReadOnlyList<SinkPause> paused = [];
        IReadOnlyList<SinkBacklog>? stored = null;
        try
        {
            using var patience = new CancellationTokenSource(Patience, time);
            paused = await store.Paused(patience.Token);
            stored = await backlogs.Get(age).WaitAsync(patience.Token);
        }
        catch (Exception exception) when (exception is StateUnavailableException or DbException or TimeoutException or OperationCanceledException)
        {
            // The control database does not answer. People need the rest all the same.
        }

        var names = configuration.Sinks.Keys.Concat(paused.Select(p => p.Sink)).Concat((stored ?? []).Select(s => s.Sink)).Distinct();
        return [.. names.Order(StringComparer.Ordinal).Select(name => View(name, paused.FirstOrDefault(p => p.Sink == name), stored))];
    }

    /// <summary>Tests a sink of this silo.</summary>
    public async Task<SinkTesting> Test(string name)
    {
        if (sources.Sink(name) is not { } sink)
            return new SinkTesting(IsKnown: false);
        var begun = time.GetTimestamp();
        string? error;
        try
        {
            error = await sink.Test(TestTime, CancellationToken.None).WaitAsync(TestTime + TestMargin, time);
        }
        catch (TimeoutException)
        {
            error = $"It has not answered within {TestTime.TotalSeconds:0} s.";
        }
#pragma warning disable CA1031 // A test that fails is an answer.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            error = $"The test failed: {exception.GetType().Name}.";
        }

        return new SinkTesting(IsKnown: true, error, silo.SiloAddress.ToString(), time.GetElapsedTime(begun));
    }

    /// <summary>Pauses a sink. It may be one that is configured only.</summary>
    public async Task<SinkPausing> Pause(string sink, string who)
    {
        if (!configuration.Sinks.ContainsKey(sink))
            return new SinkPausing(IsKnown: false);
        var (pause, isNew) = await store.Pause(sink, who, CancellationToken.None);
        return new SinkPausing(IsKnown: true, isNew, pause.Who, pause.Since);
    }

    /// <summary>Ends the pause of a sink; also of one that is not configured any more.</summary>
    public async Task<SinkPausing> Resume(string sink)
    {
        var ended = await store.Resume(sink, CancellationToken.None);
        return new SinkPausing(IsKnown: ended is not null || configuration.Sinks.ContainsKey(sink), IsChanged: ended is not null);
    }

    private SinkView View(string name, SinkPause? pause, IReadOnlyList<SinkBacklog>? stored) => new()
    {
        Name = name,
        Type = configuration.Sinks.TryGetValue(name, out var sink) ? sink.Type : "removed",
        Routes = Routes(name),
        PausedBy = pause?.Who,
        PausedSince = pause?.Since ?? default,
        Stored = stored is null
            ? null
            : [.. stored.Where(s => s.Sink == name).Select(s => new SinkStored(s.Source, s.Table, s.DeadLetters, s.Parked, s.ParkedBytes, s.OldestParkedAt))],
    };

    private SinkRoute[] Routes(string sink)
    {
        var routes = configuration.Routes.Where(r => r.To.Contains(sink)).Select(r => (Route: r, Policy: r.DeliveryTo(sink))).ToArray();
        return
        [
            .. routes.Select(r => new SinkRoute
            {
                From = r.Route.From,
                Format = r.Route.Format,
                Inline = r.Policy.Inline,
                BackoffFirst = r.Policy.Backoff.First,
                BackoffMost = r.Policy.Backoff.Most,
                GiveUpAttempts = r.Policy.GiveUpAttempts,
                GiveUpAge = r.Policy.GiveUpAge,
                Blocks = r.Policy.Poison == PoisonPolicy.Block,
                Holds = r.Policy.Outage == OutagePolicy.Hold,
                SpillBytes = routes.Min(o => o.Policy.SpillBytes),
            }),
        ];
    }
}
