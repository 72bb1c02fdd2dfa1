using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using static CdcOrleans.Grains.Runtime.GrainAnswers;

namespace CdcOrleans.Grains.Operations;

/// <summary>
/// Answers people's questions from the store, passes their decisions to the partitions of the entities, and writes every decision to the
/// audit log.
/// </summary>
[StatelessWorker(4)]
[Reentrant]
internal sealed partial class OperationsGrain(
    PipelineConfiguration configuration, IDeadLetterStore letters, IParkedQueries parked, IAuditStore audit, SinkOperations sinks,
    ILogger<OperationsGrain> logger) : Grain, IOperationsGrain
{
    /// <summary>Most dead letters, and the bytes of them, that a partition gets in one call.</summary>
    private const int MostInCall = 100;
    private const long MostBytesInCall = 8 << 20;

    public Task<LetterSummary[]> ListLetters(LetterFilter filter, long after, int limit) =>
        Ask(async () => (await letters.List(filter, after, limit, CancellationToken.None)).ToArray());

    public Task<StoredLetter?> GetLetter(long id) => Ask(() => letters.Get(id, CancellationToken.None));

    public Task<LetterGroup[]> GroupLetters(LetterFilter filter) => Ask(async () => (await letters.Groups(filter, CancellationToken.None)).ToArray());

    public Task<ParkedSummary[]> ListParked(LetterFilter filter, long after, int limit) =>
        Ask(async () => (await parked.List(filter, after, limit, CancellationToken.None)).ToArray());

    public Task<SinkView[]> GetSinks(TimeSpan age) => Ask(() => sinks.Views(age));

    public Task<SinkTesting> TestSink(string sink) => sinks.Test(sink);

    public Task<SinkPausing> PauseSink(string sink, string who) => Ask(async () =>
    {
        var pausing = await sinks.Pause(sink, who);
        if (pausing.IsKnown)
            await audit.Record(who, "pause sink", new { sink }, pausing.IsChanged ? "paused" : "was paused already");
        return pausing;
    });

    public Task<SinkPausing> ResumeSink(string sink, string who) => Ask(async () =>
    {
        var pausing = await sinks.Resume(sink);
        if (pausing.IsKnown)
            await audit.Record(who, "resume sink", new { sink }, pausing.IsChanged ? "resumed" : "was not paused");

        // What waits after failures before the pause need not wait any longer.
        if (pausing.IsChanged)
            await ((Task)Task.WhenAll(Retries(new LetterFilter { Sink = sink }))).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        return pausing;
    });

    public Task<AuditEntry[]> ListAudit(long before, int limit) => Ask(async () => (await audit.List(before, limit, CancellationToken.None)).ToArray());

    public Task<Decision> Redeliver(LetterSelection selection, RedeliverAs what, string who) => Decide(
        selection, who, what == RedeliverAs.Event ? "redeliver as event" : "redeliver as current",
        async (source, partition, ids) => partition is null
            ? [.. ids.Select(id => new LetterRefusal(id, $"Source '{source}' is not configured. Configure it again, or discard the dead letter."))]
            : await partition.Redeliver(ids, what));

    public Task<Decision> Discard(LetterSelection selection, string who) => Decide(
        selection, who, "discard",
        async (source, partition, ids) =>
        {
            var discarded = partition is null
                ? (await letters.Discard(source, ids, long.MaxValue, CancellationToken.None)).Select(d => d.Id)
                : await partition.Discard(ids);
            return [.. ids.Except(discarded).Select(id => new LetterRefusal(id, "It does not exist any more, or it is being delivered again."))];
        });

    public Task<int> RetryParked(LetterFilter filter, string who) => Ask(async () =>
    {
        var entities = (await Task.WhenAll(Retries(filter))).Sum();
        await audit.Record(who, "retry parked", new { filter.Source, filter.Sink, filter.Table, hasKey = filter.Key is not null }, $"{entities} entities");
        return entities;
    });

    private IEnumerable<Task<int>> Retries(LetterFilter filter) => configuration.Sources.Values
        .Where(s => filter.Source is null || s.Name == filter.Source)
        .SelectMany(s => Enumerable.Range(0, s.Partitions).Select(p => GrainFactory.GetGrain<IPartitionGrain>(PartitionKey.For(s.Name, p))))
        .Select(p => p.RetryParked(filter.Sink!, filter.Table, filter.Key).AsTask());

    private Task<Decision> Decide(LetterSelection selection, string who, string operation, Func<string, IPartitionGrain?, long[], Task<LetterRefusal[]>> decide) => Ask(async () =>
    {
        var found = selection.Ids is { } ids
            ? await letters.Find(ids, CancellationToken.None)
            : await letters.List(
                new LetterFilter { Fingerprint = selection.Fingerprint, Sink = selection.Sink }, selection.After, IOperationsGrain.MostDecisions, CancellationToken.None);
        if (selection.Sink is { } sink)
            found = [.. found.Where(l => l.Sink == sink)];
        var refused = new List<LetterRefusal>();

        // Those of a partition in the order of their versions, so that events of an entity stay in order.
        foreach (var group in found.GroupBy(l => (l.Source, Partition: PartitionOf(l))))
        {
            var partition = group.Key.Partition is { } number ? GrainFactory.GetGrain<IPartitionGrain>(PartitionKey.For(group.Key.Source, number)) : null;
            foreach (var some in Chunks(group.OrderBy(l => l.Version).ThenBy(l => l.Part)))
                refused.AddRange(await Decide(decide, group.Key.Source, partition, some));
        }

        await audit.Record(
            who, operation, new { selection.Ids, selection.Fingerprint, selection.Sink }, $"{found.Count - refused.Count} accepted, {refused.Count} refused");
        var known = found.Select(l => l.Id).ToHashSet();
        return new Decision(
            found.Count - refused.Count, [.. refused.OrderBy(r => r.Id)], [.. (selection.Ids ?? []).Where(id => !known.Contains(id))],
            found.Count > 0 ? found[^1].Id : selection.After, selection.Ids is null && found.Count == IOperationsGrain.MostDecisions);
    });

    // The other partitions decide about the others all the same.
    private async Task<LetterRefusal[]> Decide(
        Func<string, IPartitionGrain?, long[], Task<LetterRefusal[]>> decide, string source, IPartitionGrain? partition, long[] ids)
    {
        try
        {
            return await decide(source, partition, ids);
        }
        catch (Exception exception) when (exception is EntityUnavailableException or StateUnavailableException)
        {
            return [.. ids.Select(id => new LetterRefusal(id, exception.Message))];
        }
#pragma warning disable CA1031 // The partition may be moving to another silo.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogFailed(logger, exception, source);
            return [.. ids.Select(id => new LetterRefusal(id, "The partition of its entity did not answer: it may be moving to another silo. Try again in a moment."))];
        }
    }

    private int? PartitionOf(LetterSummary letter) =>
        configuration.Sources.TryGetValue(letter.Source, out var source) ? letter.Entity.Partition(source.Partitions) : null;

    private static IEnumerable<long[]> Chunks(IEnumerable<LetterSummary> all)
    {
        var some = new List<long>();
        var bytes = 0L;
        foreach (var letter in all)
        {
            if (some.Count == MostInCall || (some.Count > 0 && bytes + letter.Bytes > MostBytesInCall))
            {
                yield return [.. some];
                some.Clear();
                bytes = 0;
            }

            some.Add(letter.Id);
            bytes += letter.Bytes;
        }

        if (some.Count > 0)
            yield return [.. some];
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: a partition did not answer for dead letters")]
    private static partial void LogFailed(ILogger logger, Exception exception, string source);
}
