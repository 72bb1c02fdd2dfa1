using CdcOrleans.Gateway.Cluster;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for orchestrators.</summary>
internal static class HealthEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/health/live", () => TypedResults.Ok(new Liveness("live")))
            .WithName("getLiveness").WithSummary("Whether the process answers").WithTags("health");
        endpoints.MapGet("/health/ready", Ready)
            .WithName("getReadiness").WithSummary("Whether changes flow").WithTags("health")
            .WithDescription("The cluster can be reached and every source is streaming or holding; the body says which source is not, and why.")
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<Results<Ok<Readiness>, ProblemHttpResult>> Ready(SourceStatusReader sources, CancellationToken cancellation)
    {
        SourceReadiness[] readiness = [.. (await sources.ReadAll(cancellation)).Select(Reporting.Ready)];
        return readiness.All(r => r.Ready) ? TypedResults.Ok(new Readiness("ready", readiness)) : Problem.NotReady(readiness);
    }
}
