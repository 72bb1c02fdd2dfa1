using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for backfills.</summary>
internal static class BackfillEndpoints
{
    private const string Path = "/api/v1/backfills";
    private const string Suffix = "/reread";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Starts(endpoints.MapPost(Path, Start), "startBackfill", "Read existing rows at the source",
            "The rows of some tables, or of single entities, are read from the tables while changes go on, and merged with the stream. Of the kind 'rows', each becomes an event with the operation 'r'; "
            + "of the kind 'repair', only what differs from the stored rows becomes an event; of the kind 'verify', what differs is counted.")
            .WithTags("backfills").Accepts<BackfillRequest>("application/json");
        Describe(endpoints.MapGet(Path, List), "getBackfills", "Backfills", "The newest first. A page begins before the id 'after'.");
        Describe(endpoints.MapGet(Path + "/{id}", One), "getBackfill", "One backfill", "What it is doing, and how far it is.")
            .ProducesProblem(StatusCodes.Status404NotFound);
        Decides(endpoints.MapPost(Path + "/{id}/pause", Pause), "pauseBackfill", "Pause a backfill", "What was read is still delivered.");
        Decides(endpoints.MapPost(Path + "/{id}/resume", Resume), "resumeBackfill", "Go on with a backfill", "It goes on where it was paused.");
        Decides(endpoints.MapPost(Path + "/{id}/cancel", Cancel), "cancelBackfill", "End a backfill", "What was sent stays sent, and what was parked is still delivered.");
        Starts(endpoints.MapPost(EntityAddress.Prefix + "{source}/{table}/{key}" + Suffix, Reread), "rereadEntity", "Read the row of an entity again",
            "A backfill of the kind 'rows' with one key: the row is read at the source now, and becomes an event with the operation 'r'. Slashes in the key must be percent-encoded.")
            .WithTags("entities");
    }

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        OperationEndpoints.Describe(endpoint, name, summary, description).WithTags("backfills");

    private static RouteHandlerBuilder Starts(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        OperationEndpoints.Describe(endpoint, name, summary, description)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);

    private static void Decides(RouteHandlerBuilder endpoint, string name, string summary, string description) => Describe(endpoint, name, summary, description)
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status409Conflict)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);

    private static async Task<Results<Accepted<BackfillItem>, ProblemHttpResult>> Start(HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        var request = await RequestText.Body(context, GatewayJson.Default.BackfillRequest);
        if (string.IsNullOrEmpty(request.Source))
            return Problem.BadBody("It must have 'source': the source whose rows are read.");
        if (settings.Source(request.Source) is null)
            return Problem.UnknownSource(request.Source, settings);
        if (RequestText.WrongTables(request.Tables) is { } wrongTables)
            return Problem.BadBody(wrongTables);
        if (KindOf(request.Kind) is not { } kind)
            return Problem.BadBody($"'kind' is '{RequestText.Short(request.Kind!)}'; it must be 'rows', 'repair' or 'verify'.");
        if (request.Rate is < 0 or > BackfillOrder.MostRate)
            return Problem.BadBody($"'rate' is {request.Rate}; from 1 to {BackfillOrder.MostRate} rows per second are allowed, or 0 for no limit.");
        if (RequestText.WrongKeys(request.Keys, request.Tables!, BackfillOrder.MostKeys) is { } wrongKeys)
            return Problem.BadBody(wrongKeys);
        if (WrongWhere(request) is { } wrongWhere)
            return Problem.BadBody(wrongWhere);
        var order = new BackfillOrder(request.Source, kind, RequestText.Texts("tables", request.Tables!))
        {
            Keys = request.Keys is { } keys ? [.. RequestText.Texts("keys", keys).Distinct()] : null,
            Where = RequestText.Text("where", request.Where),
            Rate = request.Rate ?? 0,
        };
        return await Begin(order, context, cluster);
    }

    // The row of a deleted entity, or of one of which nothing is known, may be read as well. So the cluster is not asked for its state.
    private static async Task<Results<Accepted<BackfillItem>, ProblemHttpResult>> Reread(
        string source, string table, string key, HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        var id = EntityAddress.OfPath(context, Suffix) ?? EntityAddress.Of(source, table, key);
        await RequestText.NoBody(context);
        if (EntityEndpoints.Refusal(id, settings) is { } refusal)
            return refusal;
        return await Begin(new BackfillOrder(id.Source, BackfillKind.Rows, [id.Key.Table]) { Keys = [id.Key.Key] }, context, cluster);
    }

    private static async Task<Results<Accepted<BackfillItem>, ProblemHttpResult>> Begin(BackfillOrder order, HttpContext context, ClusterCalls cluster)
    {
        var started = await cluster.Backfills("a backfill", g => g.Start(order, OperationEndpoints.Who(context)), context.RequestAborted, isDecision: true);
        return started.Backfill is { } backfill
            ? TypedResults.Accepted($"{Path}/{backfill.Id}", BackfillReporting.Item(backfill))
            : Problem.RefusedBackfill(started.Refusal, started.Detail!);
    }

    private static async Task<Ok<BackfillList>> List(string? after, string? limit, ClusterCalls cluster, CancellationToken cancellation)
    {
        var most = RequestText.Limit(limit);
        var start = RequestText.After(after);
        var backfills = await cluster.Backfills("the backfills", g => g.List(start, most), cancellation);
        return TypedResults.Ok(new BackfillList([.. backfills.Select(BackfillReporting.Item)], backfills.Length == most ? backfills[^1].Id : null));
    }

    private static async Task<Results<Ok<BackfillItem>, ProblemHttpResult>> One(string id, ClusterCalls cluster, CancellationToken cancellation)
    {
        var number = RequestText.Id(id);
        return await cluster.Backfills("a backfill", g => g.Get(number), cancellation) is { } backfill
            ? TypedResults.Ok(BackfillReporting.Item(backfill))
            : Problem.UnknownBackfill(number);
    }

    private static Task<Results<Ok<BackfillItem>, ProblemHttpResult>> Pause(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, BackfillVerb.Pause, context, cluster);

    private static Task<Results<Ok<BackfillItem>, ProblemHttpResult>> Resume(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, BackfillVerb.Resume, context, cluster);

    private static Task<Results<Ok<BackfillItem>, ProblemHttpResult>> Cancel(string id, HttpContext context, ClusterCalls cluster) =>
        Decide(id, BackfillVerb.Cancel, context, cluster);

    // A page of another origin cannot send JSON without being asked first (CORS), so a decision must be JSON, although it has no content.
    private static async Task<Results<Ok<BackfillItem>, ProblemHttpResult>> Decide(string id, BackfillVerb verb, HttpContext context, ClusterCalls cluster)
    {
        var number = RequestText.Id(id);
        await RequestText.NoBody(context);
        var decision = await cluster.Backfills("a decision about a backfill", g => g.Decide(number, verb, OperationEndpoints.Who(context)), context.RequestAborted, isDecision: true);
        if (decision is null)
            return Problem.UnknownBackfill(number);
        return decision.Refusal is { } refusal ? Problem.BackfillState(refusal) : TypedResults.Ok(BackfillReporting.Item(decision.Backfill));
    }

    // The first one of a table is the configuration's.
    private static BackfillKind? KindOf(string? kind) => kind switch
    {
        null or "rows" => BackfillKind.Rows,
        "repair" => BackfillKind.Repair,
        "verify" => BackfillKind.Verify,
        _ => null,
    };

    // The rest is decided by the source.
    private static string? WrongWhere(BackfillRequest request) => request.Where switch
    {
        null => null,
        { Length: > BackfillOptions.LongestWhere } where => $"'where' has {where.Length} characters; {BackfillOptions.LongestWhere} are allowed.",
        var where when string.IsNullOrWhiteSpace(where) => "'where' is empty. Write a condition on the table's columns as after WHERE, or leave it out for all rows.",
        _ => request.Keys is null ? null : "'where' is given together with 'keys'. The keys say already which rows are read: leave one of them out.",
    };
}
