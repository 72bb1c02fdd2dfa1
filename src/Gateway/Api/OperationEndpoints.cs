using CdcOrleans.Gateway.Cluster;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for parked events and the audit log.</summary>
internal static class OperationEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapGet("/api/v1/parked", Parked), "getParked", "Parked events",
            "Entities whose events wait for a sink, without the events. Pages begin after the id 'after' and have 'limit' items, 100 by default and 1000 at most.")
            .WithTags("parked");
        Describe(endpoints.MapPost("/api/v1/parked/retry", Retry), "retryParked", "Try parked events now",
            "Those of a sink; optionally of one source, table or entity only. What waits for a decision about a dead letter stays.")
            .WithTags("parked").Accepts<RetryRequest>("application/json")
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);
        Describe(endpoints.MapGet("/api/v1/audit", Audit), "getAudit", "Who changed what", "Every change through this API, the newest first. A page begins before the id 'after'.")
            .WithTags("audit");
    }

    /// <summary>Describes an endpoint that asks the cluster.</summary>
    public static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) => endpoint
        .WithName(name).WithSummary(summary).WithDescription(description)
        .ProducesProblem(StatusCodes.Status400BadRequest)
        .ProducesProblem(StatusCodes.Status502BadGateway)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
        .ProducesProblem(StatusCodes.Status504GatewayTimeout);

    /// <summary>Who sends a request: the address, while there are no users.</summary>
    public static string Who(HttpContext context) => context.Connection.RemoteIpAddress?.ToString() ?? "unknown";

    private static async Task<Ok<ParkedList>> Parked(
        string? sink, string? source, string? table, string? key, string? after, string? limit, ClusterCalls cluster, CancellationToken cancellation)
    {
        var most = RequestText.Limit(limit);
        var filter = RequestText.Filter(sink, source, table, key);
        var start = RequestText.After(after);
        var parked = await cluster.Operations("the parked events", g => g.ListParked(filter, start, most), cancellation);
        return TypedResults.Ok(new ParkedList([.. parked.Select(LetterReporting.Parked)], parked.Length == most ? parked[^1].Id : null));
    }

    private static async Task<Results<Ok<RetryAnswer>, ProblemHttpResult>> Retry(HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        var request = await RequestText.Body(context, GatewayJson.Default.RetryRequest);
        if (string.IsNullOrEmpty(request.Sink))
            return Problem.BadBody("It must have 'sink': the sink for which events are parked.");
        if (request.Key is not null && request.Table is null)
            return Problem.BadBody("It has 'key' without 'table'. An entity has a table and a key.");
        if (!settings.Sinks.Contains(request.Sink))
            return Problem.UnknownSink(request.Sink, settings.Sinks);
        if (request.Source is { } source && settings.Source(source) is null)
            return Problem.UnknownSource(source, settings);
        var filter = RequestText.Filter(request.Sink, request.Source, request.Table, request.Key);
        return TypedResults.Ok(new RetryAnswer(
            await cluster.Decide("another attempt", g => g.RetryParked(filter, Who(context)), context.RequestAborted)));
    }

    private static async Task<Ok<AuditList>> Audit(string? after, string? limit, ClusterCalls cluster, CancellationToken cancellation)
    {
        var most = RequestText.Limit(limit);
        var start = RequestText.After(after);
        var entries = await cluster.Operations("the audit log", g => g.ListAudit(start, most), cancellation);
        return TypedResults.Ok(new AuditList([.. entries.Select(LetterReporting.Audit)], entries.Length == most ? entries[^1].Id : null));
    }
}
