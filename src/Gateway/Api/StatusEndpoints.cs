using CdcOrleans.Gateway.Cluster;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for the pipeline and its sources.</summary>
internal static class StatusEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapGet("/api/v1/status", Pipeline), "getStatus", "The state of the pipeline",
            "The cluster, the overall state, and every source with its lag, rate, latency and sinks.");
        Describe(endpoints.MapGet("/api/v1/sources", All), "getSources", "All sources",
            "All details of every source: positions, lag, window, counters of each silo and sink.");
        Describe(endpoints.MapGet("/api/v1/sources/{source}", One), "getSource", "One source",
            "All details of one source: positions, lag, window, counters of each silo and sink.")
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) => endpoint
        .WithName(name).WithSummary(summary).WithDescription(description).WithTags("sources")
        .ProducesProblem(StatusCodes.Status502BadGateway)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
        .ProducesProblem(StatusCodes.Status504GatewayTimeout);

    private static async Task<Ok<PipelineStatus>> Pipeline(SourceStatusReader sources, GatewaySettings settings, CancellationToken cancellation) =>
        TypedResults.Ok(Reporting.Pipeline(settings.ClusterId, await sources.ReadAny(cancellation)));

    private static async Task<Ok<SourceList>> All(SourceStatusReader sources, CancellationToken cancellation) =>
        TypedResults.Ok(new SourceList([.. (await sources.ReadAny(cancellation)).Select(Reporting.Source)]));

    private static async Task<Results<Ok<SourceDetail>, ProblemHttpResult>> One(
        string source, SourceStatusReader sources, GatewaySettings settings, CancellationToken cancellation)
    {
        if (settings.Source(source) is not { } known)
            return Problem.UnknownSource(source, settings);
        var result = await sources.Read(known, cancellation);
        return result.Trouble is { } trouble ? Problem.OfTrouble(trouble) : TypedResults.Ok(Reporting.Source(result));
    }
}
