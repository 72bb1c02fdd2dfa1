using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using static CdcOrleans.Grains.Runtime.GrainAnswers;

namespace CdcOrleans.Grains.Replays;

/// <summary>Starts replays and passes people's decisions to them, and writes every decision to the audit log.</summary>
[StatelessWorker(4)]
[Reentrant]
internal sealed partial class ReplaysGrain(PipelineConfiguration configuration, IReplayStore store, IJournalHistories journals, IAuditStore audit, ILogger<ReplaysGrain> logger)
    : Grain, IReplaysGrain
{
    public Task<ReplayStart> Start(ReplayOrder order, string who) => Ask(async () =>
    {
        var started = await TryStart(order, who);
        await audit.Record(
            who, "start replay",
            new { order.Source, order.Sink, tables = order.Patterns, keys = order.Keys?.Length, from = From(order), since = Bound(order.Journal?.SinceTime, order.Journal?.SinceLsn), until = Bound(order.Journal?.UntilTime, order.Journal?.UntilLsn), order.Rate },
            started.Replay is { } replay ? $"replay {replay.Id}" : "refused");
        return started;
    });

    public Task<ReplayView[]> List(long before, int limit) =>
        Ask(async () => (await store.List(before, limit, CancellationToken.None)).Select(View).ToArray());

    public Task<ReplayView?> Get(long id) => Ask(async () => await store.Get(id, CancellationToken.None) is { } replay ? View(replay) : null);

    public Task<ReplayDecision?> Decide(long id, ReplayVerb verb, string who) => Ask(async () =>
    {
        var (from, to) = verb switch
        {
            ReplayVerb.Pause => ((ReplayState[])[ReplayState.Running], ReplayState.Paused),
            ReplayVerb.Resume => ([ReplayState.Paused], ReplayState.Running),
            _ => ([ReplayState.Running, ReplayState.Paused], ReplayState.Cancelled),
        };
        var isChanged = await store.Change(id, from, to, CancellationToken.None);
        if (await store.Get(id, CancellationToken.None) is not { } replay)
            return null;
        if (isChanged)
            await Tell(id);
        await audit.Record(who, $"{NameOf(verb)} replay", new { id }, isChanged ? NameOf(to) : $"refused: {NameOf(replay.State)}");
        return new ReplayDecision(
            View(replay), isChanged ? null : $"Replay {id} is {NameOf(replay.State)}. To {NameOf(verb)} it, it must be {string.Join(" or ", from.Select(s => NameOf(s)))}.");
    });

    private async Task<ReplayStart> TryStart(ReplayOrder order, string who)
    {
        var known = await store.Tables(order.Source, CancellationToken.None);
        var (tables, refusal, detail) = ReplayOrders.Find(order, known, configuration);
        if (detail is not null)
            return new ReplayStart(null, refusal, detail);
        var parts = new List<ReplayTable>();
        foreach (var table in tables)
        {
            parts.Add(new ReplayTable
            {
                Place = parts.Count, Table = table, Keys = order.Keys,
                RowsTotal = order.Journal is { } window
                    ? await journals.Count(order.Source, table, order.Keys, window, CancellationToken.None)
                    : order.Keys?.Length ?? await store.Estimate(order.Source, table, CancellationToken.None),
            });
        }

        var (replay, isNew) = await store.Add(
            new StoredReplay
            {
                Source = order.Source, Sink = order.Sink, From = From(order), Window = order.Journal ?? JournalWindow.All, Patterns = order.Patterns, Rate = order.Rate,
                Who = who, Tables = parts,
            },
            CancellationToken.None);
        if (!isNew)
        {
            var both = replay.Tables.Select(t => t.Table).Intersect(tables).First();
            return new ReplayStart(
                null, ReplayRefusal.Conflict,
                $"Replay {replay.Id} of {order.Source}.{both} to sink '{order.Sink}' is {NameOf(replay.State)}. Wait until it is done, or cancel it (POST /api/v1/replays/{replay.Id}/cancel).");
        }

        await Tell(replay.Id);
        return new ReplayStart(View(replay));
    }

    private static string? Bound(DateTimeOffset? time, Lsn? lsn) => time is { } at ? $"{at.UtcDateTime:O}" : lsn?.ToString();

    private static string From(ReplayOrder order) => order.Journal is null ? ReplayOrders.Held : ReplayOrders.Journal;

    // If it cannot be told now, it is looked after in some seconds.
    private async Task Tell(long id)
    {
        try
        {
            await GrainFactory.GetGrain<IReplayGrain>(id).Changed();
        }
#pragma warning disable CA1031 // See above.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogNotTold(logger, id, exception.Message);
        }
    }

    private static ReplayView View(StoredReplay replay) => new()
    {
        Id = replay.Id,
        Source = replay.Source,
        Sink = replay.Sink,
        From = replay.From,
        Journal = replay.From == ReplayOrders.Journal ? replay.Window : null,
        State = NameOf(replay.State),
        Rate = replay.Rate,
        Speed = replay.Speed,
        Error = replay.Error,
        Waiting = replay.Waiting,
        Who = replay.Who,
        CreatedAt = replay.CreatedAt,
        UpdatedAt = replay.UpdatedAt,
        EndedAt = replay.EndedAt,
        Tables = [.. replay.Tables.Select(t => new ReplayTableView
        {
            Table = t.Table, Keys = t.Keys?.Count, RowsTotal = t.RowsTotal, RowsDone = t.RowsDone, IsDone = t.IsDone, Sent = t.Sent, Absent = t.Absent,
            WithoutRow = t.WithoutRow, Parked = t.Parked, Refused = t.Refused,
        })],
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Replay {Replay} could not be told of a decision; it notices it in some seconds: {Error}")]
    private static partial void LogNotTold(ILogger logger, long replay, string error);
}
