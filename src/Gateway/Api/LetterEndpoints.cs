using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Partitions;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for dead letters.</summary>
internal static class LetterEndpoints
{
    private const string Path = "/api/v1/dead-letters";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapGet(Path, List), "getDeadLetters", "Dead letters",
            "Events that their sink refused for good, or that were given up, without their content. Pages begin after the id 'after' and have 'limit' items, 100 by default and 1000 at most.");
        Describe(endpoints.MapGet(Path + "/groups", Groups), "getDeadLetterGroups", "What went wrong",
            "Dead letters by sink, table and error without its numbers and quoted texts; the most frequent first.");
        Describe(endpoints.MapGet(Path + "/{id}", One), "getDeadLetter", "One dead letter, with its event",
            "Key, value and headers of the event as the sink got them.")
            .ProducesProblem(StatusCodes.Status404NotFound);
        Decides<RedeliverRequest>(endpoints.MapPost(Path + "/redeliver", Redeliver), "redeliverDeadLetters", "Deliver dead letters again",
            "Some by their ids, or those of a group. The event, or the entity's current row, is parked behind the events of the entity at the sink, marked as redelivery, and delivered from there. "
            + "The dead letter is deleted when its event is delivered, and keeps the new error when it is refused again.");
        Decides<DiscardRequest>(endpoints.MapPost(Path + "/discard", Discard), "discardDeadLetters", "Delete dead letters",
            "Some by their ids, or those of a group. An entity that waits for the decision (poison: block) goes on.");
    }

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        OperationEndpoints.Describe(endpoint, name, summary, description).WithTags("dead letters");

    private static void Decides<T>(RouteHandlerBuilder endpoint, string name, string summary, string description)
        where T : notnull => Describe(endpoint, name, summary, description)
        .Accepts<T>("application/json")
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);

    private static async Task<Ok<DeadLetterList>> List(
        string? sink, string? source, string? table, string? key, string? fingerprint, string? after, string? limit, ClusterCalls cluster, CancellationToken cancellation)
    {
        var most = RequestText.Limit(limit);
        var filter = RequestText.Filter(sink, source, table, key, fingerprint);
        var start = RequestText.After(after);
        var letters = await cluster.Operations("the dead letters", g => g.ListLetters(filter, start, most), cancellation);
        return TypedResults.Ok(new DeadLetterList([.. letters.Select(LetterReporting.Item)], letters.Length == most ? letters[^1].Id : null));
    }

    private static async Task<Ok<DeadLetterGroups>> Groups(string? sink, string? source, string? table, ClusterCalls cluster, CancellationToken cancellation)
    {
        var filter = RequestText.Filter(sink, source, table, null);
        var groups = await cluster.Operations("the groups of dead letters", g => g.GroupLetters(filter), cancellation);
        return TypedResults.Ok(new DeadLetterGroups([.. groups.Select(LetterReporting.Group)]));
    }

    private static async Task<Results<Ok<DeadLetterDetail>, ProblemHttpResult>> One(string id, ClusterCalls cluster, CancellationToken cancellation)
    {
        var number = RequestText.Id(id);
        return await cluster.Operations("a dead letter", g => g.GetLetter(number), cancellation) is { } letter
            ? TypedResults.Ok(LetterReporting.Detail(letter))
            : Problem.UnknownLetter(number);
    }

    private static async Task<Results<Ok<DecisionAnswer>, ProblemHttpResult>> Redeliver(HttpContext context, ClusterCalls cluster)
    {
        var request = await RequestText.Body(context, GatewayJson.Default.RedeliverRequest);
        var what = request.As switch
        {
            null or "event" => RedeliverAs.Event,
            "current" => RedeliverAs.Current,
            _ => throw new RefusedRequestException(Problem.BadBody("'as' must be 'event' (the stored event) or 'current' (the entity's current row).")),
        };
        var selection = Selection(request.Ids, request.Fingerprint, request.Sink, request.After);
        return Answer(selection, await cluster.Decide("a redelivery", g => g.Redeliver(selection, what, OperationEndpoints.Who(context)), context.RequestAborted));
    }

    private static async Task<Results<Ok<DecisionAnswer>, ProblemHttpResult>> Discard(HttpContext context, ClusterCalls cluster)
    {
        var request = await RequestText.Body(context, GatewayJson.Default.DiscardRequest);
        var selection = Selection(request.Ids, request.Fingerprint, request.Sink, request.After);
        return Answer(selection, await cluster.Decide("a deletion", g => g.Discard(selection, OperationEndpoints.Who(context)), context.RequestAborted));
    }

    private static LetterSelection Selection(IReadOnlyList<long>? ids, string? fingerprint, string? sink, long? after)
    {
        if (ids is null == fingerprint is null)
            throw new RefusedRequestException(Problem.BadBody("It must have either 'ids' or 'fingerprint'."));
        if (ids is { Count: 0 or > IOperationsGrain.MostDecisions })
            throw new RefusedRequestException(Problem.BadBody($"'ids' has {ids.Count} ids; from 1 to {IOperationsGrain.MostDecisions} are allowed. Send more in further requests."));
        if (fingerprint is { Length: 0 })
            throw new RefusedRequestException(Problem.BadBody("'fingerprint' is empty. Write that of a group (GET /api/v1/dead-letters/groups)."));
        if (after is < 0)
            throw new RefusedRequestException(Problem.BadBody("'after' must be 0 or more."));
        return new LetterSelection(
            ids is null ? null : [.. ids.Distinct()], RequestText.Text("fingerprint", fingerprint), RequestText.Text("sink", sink), after ?? 0);
    }

    private static Results<Ok<DecisionAnswer>, ProblemHttpResult> Answer(LetterSelection selection, Decision decision)
    {
        var found = decision.Accepted + decision.Refused.Length;
        if (found == 0 && selection.Ids is { } ids)
            return Problem.UnknownLetter(ids[0]);
        if (found == 0 && selection.After == 0)
            return Problem.UnknownGroup(selection.Fingerprint!);
        return TypedResults.Ok(new DecisionAnswer(
            decision.Accepted, [.. decision.Refused.Select(r => new RefusedLetter(r.Id, r.Reason))], decision.Unknown, decision.Last, decision.HasMore));
    }
}
