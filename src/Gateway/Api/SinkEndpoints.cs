using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for sinks.</summary>
internal static class SinkEndpoints
{
    private const string Path = "/api/v1/sinks";

    /// <summary>How old the counts of what is stored may be.</summary>
    private static readonly TimeSpan CountAge = TimeSpan.FromSeconds(1);

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapGet(Path, All), "getSinks", "All sinks",
            "Every sink with the delivery policies of its routes, its pause, its open circuits, what is parked and dead for it, and how it is doing for each source.");
        Describe(endpoints.MapGet(Path + "/{sink}", One), "getSink", "One sink",
            "A sink with the delivery policies of its routes, its pause, its open circuits, what is parked and dead for it, and how it is doing for each source.")
            .ProducesProblem(StatusCodes.Status404NotFound);
        Decides(endpoints.MapPost(Path + "/{sink}/test", Test), "testSink", "Test a sink",
            "One silo asks the destination whether it can be reached and would take events, within 10 s. No event is sent.");
        Decides(endpoints.MapPost(Path + "/{sink}/pause", Pause), "pauseSink", "Pause a sink",
            "Nothing is passed to the sink until it is resumed, also after a restart. What the delivery policy says for an outage applies: events are parked, or wait. "
            + "A sink that is paused already stays so, with the first who and since.");
        Decides(endpoints.MapPost(Path + "/{sink}/resume", Resume), "resumeSink", "Resume a sink",
            "The events that are parked for the sink are due at once, and are delivered in order.");
    }

    private static void Decides(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        Describe(endpoint, name, summary, description)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        OperationEndpoints.Describe(endpoint, name, summary, description).WithTags("sinks");

    private static async Task<Ok<SinkList>> All(SourceStatusReader sources, ClusterCalls cluster, CancellationToken cancellation) =>
        TypedResults.Ok(new SinkList(await Read(sources, cluster, cancellation)));

    private static async Task<Results<Ok<SinkDetail>, ProblemHttpResult>> One(string sink, SourceStatusReader sources, ClusterCalls cluster, CancellationToken cancellation)
    {
        RequestText.Text("sink", sink);
        var all = await Read(sources, cluster, cancellation);
        return all.FirstOrDefault(s => s.Name == sink) is { } found ? TypedResults.Ok(found) : Problem.UnknownSink(sink, [.. all.Select(s => s.Name)]);
    }

    private static async Task<Results<Ok<TestAnswer>, ProblemHttpResult>> Test(string sink, HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        RequestText.Text("sink", sink);
        await RequestText.NoBody(context);
        var testing = await cluster.Decide("the test of a sink", g => g.TestSink(sink), context.RequestAborted);
        return testing.IsKnown
            ? TypedResults.Ok(new TestAnswer(sink, testing.Error is null, testing.Error, testing.Silo, Math.Round(testing.Took.TotalMilliseconds, 1)))
            : Problem.UnknownSink(sink, settings.Sinks);
    }

    private static Task<Results<Ok<PauseAnswer>, ProblemHttpResult>> Pause(string sink, HttpContext context, ClusterCalls cluster, GatewaySettings settings) =>
        Decide(sink, context, cluster, settings, "the pause of a sink", (g, who) => g.PauseSink(sink, who));

    private static Task<Results<Ok<PauseAnswer>, ProblemHttpResult>> Resume(string sink, HttpContext context, ClusterCalls cluster, GatewaySettings settings) =>
        Decide(sink, context, cluster, settings, "the end of the pause of a sink", (g, who) => g.ResumeSink(sink, who));

    private static async Task<Results<Ok<PauseAnswer>, ProblemHttpResult>> Decide(
        string sink, HttpContext context, ClusterCalls cluster, GatewaySettings settings, string what, Func<IOperationsGrain, string, Task<SinkPausing>> decide)
    {
        RequestText.Text("sink", sink);
        await RequestText.NoBody(context);
        var pausing = await cluster.Decide(what, g => decide(g, OperationEndpoints.Who(context)), context.RequestAborted);
        return pausing.IsKnown
            ? TypedResults.Ok(new PauseAnswer(sink, pausing.IsChanged, SinkReporting.Paused(pausing.PausedBy, pausing.PausedSince)))
            : Problem.UnknownSink(sink, settings.Sinks);
    }

    private static async Task<SinkDetail[]> Read(SourceStatusReader sources, ClusterCalls cluster, CancellationToken cancellation)
    {
        var views = cluster.Operations("the sinks", g => g.GetSinks(CountAge), cancellation);
        var statuses = sources.ReadAny(cancellation);
        await Task.WhenAll(views, statuses);
        return SinkReporting.All(await statuses, await views);
    }
}
