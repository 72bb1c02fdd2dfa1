using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using static CdcOrleans.Grains.Runtime.GrainAnswers;

namespace CdcOrleans.Grains.Backfills;

/// <summary>Starts backfills and passes people's decisions to them, and writes every decision to the audit log.</summary>
[StatelessWorker(4)]
[Reentrant]
internal sealed partial class BackfillsGrain(BackfillStarts starts, IBackfillStore store, IAuditStore audit, ILogger<BackfillsGrain> logger) : Grain, IBackfillsGrain
{
    public Task<BackfillStart> Start(BackfillOrder order, string who) => Ask(async () =>
    {
        var (backfill, refusal, detail) = await starts.Start(order, who, CancellationToken.None);
        if (backfill is not null)
            await Tell(backfill.Id);
        await audit.Record(
            who, "start backfill",
            new { order.Source, kind = NameOf(order.Kind), tables = order.Patterns, keys = order.Keys?.Length, filtered = order.Where is not null, order.Rate },
            backfill is null ? "refused" : $"backfill {backfill.Id}");
        return new BackfillStart(backfill is null ? null : View(backfill), refusal, detail);
    });

    public Task StartInitial(string source, string[] tables) => Ask(async () =>
    {
        var (started, trouble) = await starts.StartInitial(source, tables, CancellationToken.None);
        foreach (var backfill in started)
        {
            await Tell(backfill.Id);
            await audit.Record(
                BackfillStarts.Configuration, "start backfill", new { backfill.Source, kind = NameOf(backfill.Kind), tables = backfill.Patterns, backfill.Rate },
                $"backfill {backfill.Id}");
        }

        return trouble is null ? started.Count : throw new EntityUnavailableException(trouble.Message);
    });

    public Task<BackfillView[]> List(long before, int limit) =>
        Ask(async () => (await store.List(before, limit, CancellationToken.None)).Select(View).ToArray());

    public Task<BackfillView?> Get(long id) =>
        Ask(async () => await store.Get(id, CancellationToken.None) is { } backfill ? View(backfill) : null);

    public Task<BackfillDecision?> Decide(long id, BackfillVerb verb, string who) => Ask(async () =>
    {
        var (from, to) = verb switch
        {
            BackfillVerb.Pause => ((BackfillState[])[BackfillState.Running], BackfillState.Paused),
            BackfillVerb.Resume => ([BackfillState.Paused], BackfillState.Running),
            _ => ([BackfillState.Running, BackfillState.Paused], BackfillState.Cancelled),
        };
        var isChanged = await store.Change(id, from, to, CancellationToken.None);
        if (await store.Get(id, CancellationToken.None) is not { } backfill)
            return null;
        if (isChanged)
            await Tell(id);
        var (name, state) = (NameOf(verb), NameOf(backfill.State));
        await audit.Record(who, $"{name} backfill", new { id }, isChanged ? NameOf(to) : $"refused: {state}");
        return new BackfillDecision(
            View(backfill), isChanged ? null : $"Backfill {id} is {state}. To {name} it, it must be {string.Join(" or ", from.Select(s => NameOf(s)))}.");
    });

    // If it cannot be told now, it is looked after in some seconds.
    private async Task Tell(long id)
    {
        try
        {
            await GrainFactory.GetGrain<IBackfillGrain>(id).Changed();
        }
#pragma warning disable CA1031 // See above.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogNotTold(logger, id, exception.Message);
        }
    }

    private static BackfillView View(StoredBackfill backfill) => new()
    {
        Id = backfill.Id,
        Source = backfill.Source,
        Kind = NameOf(backfill.Kind),
        State = NameOf(backfill.State),
        Rate = backfill.Rate,
        Speed = backfill.Speed,
        Error = backfill.Error,
        Waiting = backfill.Waiting,
        Who = backfill.Who,
        CreatedAt = backfill.CreatedAt,
        UpdatedAt = backfill.UpdatedAt,
        EndedAt = backfill.EndedAt,
        Tables = [.. backfill.Tables.Select(t => new BackfillTableView
        {
            Table = t.Table, Where = t.Where, Keys = t.Keys?.Count, RowsTotal = t.RowsTotal, RowsDone = t.RowsDone, IsDone = t.IsDone, Sent = t.Sent,
            Unchanged = t.Unchanged, Created = t.Created, Updated = t.Updated, Deleted = t.Deleted, Parked = t.Parked, Refused = t.Refused, Error = t.Error,
        })],
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Backfill {Backfill} could not be told of a decision; it notices it in some seconds: {Error}")]
    private static partial void LogNotTold(ILogger logger, long backfill, string error);
}
