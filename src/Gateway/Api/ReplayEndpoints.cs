using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Storage;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for replays.</summary>
internal static class ReplayEndpoints
{
    private const string Path = "/api/v1/replays";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapPost(Path, Start), "startReplay", "Send rows again to a sink",
            "Goes to one sink, marked as a replay, while changes go on. From 'held': the current row of every entity of some tables, or of single entities, as operation 'r'. "
            + "It never comes before an older event of the entity, nor after a newer one. From 'journal': the past changes of each entity in their order, within a window; "
            + "its later events follow behind them.")
            .Accepts<ReplayRequest>("application/json")
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);
        Describe(endpoints.MapGet(Path, List), "getReplays", "Replays", "The newest first. A page begins before the id 'after'.");
        Describe(endpoints.MapGet(Path + "/{id}", One), "getReplay", "One replay", "What it is doing, and how far it is.")
            .ProducesProblem(StatusCodes.Status404NotFound);
        Decides(endpoints.MapPost(Path + "/{id}/pause", Pause), "pauseReplay", "Pause a replay", "What is under way is still delivered.");
        Decides(endpoints.MapPost(Path + "/{id}/resume", Resume), "resumeReplay", "Go on with a replay", "It goes on where it was paused.");
        Decides(endpoints.MapPost(Path + "/{id}/cancel", Cancel), "cancelReplay", "End a replay", "What was sent stays sent, and what was parked is still delivered.");
    }

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        OperationEndpoints.Describe(endpoint, name, summary, description).WithTags("replays");

    private static void Decides(RouteHandlerBuilder endpoint, string name, string summary, string description) => Describe(endpoint, name, summary, description)
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status409Conflict)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);

    private static async Task<Results<Accepted<ReplayItem>, ProblemHttpResult>> Start(HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        var request = await RequestText.Body(context, GatewayJson.Default.ReplayRequest);
        if (string.IsNullOrEmpty(request.Source))
            return Problem.BadBody("It must have 'source': the source whose rows are sent.");
        if (string.IsNullOrEmpty(request.Sink))
            return Problem.BadBody("It must have 'sink': the sink that gets the rows.");
        if (settings.Source(request.Source) is null)
            return Problem.UnknownSource(request.Source, settings);
        if (!settings.Sinks.Contains(request.Sink))
            return Problem.UnknownSink(request.Sink, settings.Sinks);
        if (WrongFrom(request, out var journal) is { } wrongFrom)
            return Problem.BadBody(wrongFrom);
        if (RequestText.WrongTables(request.Tables) is { } wrongTables)
            return Problem.BadBody(wrongTables);
        if (request.Rate is { } rate && rate is < 1 or > ReplayOrder.MostRate)
            return Problem.BadBody($"'rate' is {request.Rate}; from 1 to {ReplayOrder.MostRate} rows per second are allowed.");
        if (RequestText.WrongKeys(request.Keys, request.Tables!, ReplayOrder.MostKeys) is { } wrongKeys)
            return Problem.BadBody(wrongKeys);
        var order = new ReplayOrder(
            request.Source, request.Sink, RequestText.Texts("tables", request.Tables!),
            request.Keys is { } keys ? [.. RequestText.Texts("keys", keys).Distinct()] : null, request.Rate ?? ReplayOrder.DefaultRate)
        {
            Journal = journal,
        };
        var started = await cluster.Replays("a replay", g => g.Start(order, OperationEndpoints.Who(context)), context.RequestAborted, isDecision: true);
        return started.Replay is { } replay
            ? TypedResults.Accepted($"{Path}/{replay.Id}", Item(replay))
            : Problem.RefusedReplay(started.Refusal, started.Detail!);
    }

    private static async Task<Ok<ReplayList>> List(string? after, string? limit, ClusterCalls cluster, CancellationToken cancellation)
    {
        var most = RequestText.Limit(limit);
        var start = RequestText.After(after);
        var replays = await cluster.Replays("the replays", g => g.List(start, most), cancellation);
        return TypedResults.Ok(new ReplayList([.. replays.Select(Item)], replays.Length == most ? replays[^1].Id : null));
    }

    private static async Task<Results<Ok<ReplayItem>, ProblemHttpResult>> One(string id, ClusterCalls cluster, CancellationToken cancellation)
    {
        var number = RequestText.Id(id);
        return await cluster.Replays("a replay", g => g.Get(number), cancellation) is { } replay ? TypedResults.Ok(Item(replay)) : Problem.UnknownReplay(number);
    }

    private static Task<Results<Ok<ReplayItem>, ProblemHttpResult>> Pause(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, ReplayVerb.Pause, context, cluster);

    private static Task<Results<Ok<ReplayItem>, ProblemHttpResult>> Resume(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, ReplayVerb.Resume, context, cluster);

    private static Task<Results<Ok<ReplayItem>, ProblemHttpResult>> Cancel(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, ReplayVerb.Cancel, context, cluster);

    // A page of another origin cannot send JSON without being asked first (CORS), so a decision must be JSON, although it has no content.
    private static async Task<Results<Ok<ReplayItem>, ProblemHttpResult>> Decide(string id, ReplayVerb verb, HttpContext context, ClusterCalls cluster)
    {
        var number = RequestText.Id(id);
        if (!context.Request.HasJsonContentType())
            return Problem.NotJson(context.Request.ContentType);
        var decision = await cluster.Replays("a decision about a replay", g => g.Decide(number, verb, OperationEndpoints.Who(context)), context.RequestAborted, isDecision: true);
        if (decision is null)
            return Problem.UnknownReplay(number);
        return decision.Refusal is { } refusal ? Problem.ReplayState(refusal) : TypedResults.Ok(Item(decision.Replay));
    }

    private static string? WrongFrom(ReplayRequest request, out JournalWindow? journal)
    {
        journal = null;
        if (request.From is not (null or "held" or "journal"))
            return $"'from' is '{RequestText.Short(request.From)}'; it must be 'held', which sends the current row of each entity, or 'journal', which sends past changes.";
        if (request.From != "journal")
        {
            return request.Since is null && request.Until is null
                ? null
                : $"'{(request.Since is not null ? "since" : "until")}' is not possible with 'held': it has the current row of each entity, and not when rows changed before. Leave it out, or write 'journal' in 'from'.";
        }

        if (WindowText.Bound(request.Since) is not var (sinceTime, sinceLsn))
            return $"'since': {WindowText.Wrong(request.Since!)}";
        if (WindowText.Bound(request.Until) is not var (untilTime, untilLsn))
            return $"'until': {WindowText.Wrong(request.Until!)}";
        if (sinceTime >= untilTime || sinceLsn >= untilLsn)
            return $"'since' is {request.Since} and 'until' is {request.Until}: no change is between them. 'since' must be the earlier one.";
        journal = new JournalWindow { SinceTime = sinceTime, UntilTime = untilTime, SinceLsn = sinceLsn, UntilLsn = untilLsn };
        return null;
    }

    private static ReplayItem Item(ReplayView replay) => new(
        replay.Id, replay.Source, replay.Sink, replay.From, replay.State, replay.Rate, Math.Round(replay.Speed, 1), replay.Tables.Sum(t => t.RowsTotal),
        replay.Tables.Sum(t => t.RowsDone), replay.Tables.Sum(t => t.Sent), replay.Tables.Sum(t => t.Absent), replay.Tables.Sum(t => t.WithoutRow),
        replay.Tables.Sum(t => t.Parked), replay.Tables.Sum(t => t.Refused), replay.Error, replay.Waiting, replay.Who, replay.CreatedAt, replay.UpdatedAt,
        replay.EndedAt, WindowText.Of(replay.Journal?.SinceTime, replay.Journal?.SinceLsn), WindowText.Of(replay.Journal?.UntilTime, replay.Journal?.UntilLsn),
        [.. replay.Tables.Select(t => new ReplayTableItem(
            t.Table, t.Keys, t.IsDone, t.RowsTotal, t.RowsDone, t.Sent, t.Absent, t.WithoutRow, t.Parked, t.Refused))]);
}
