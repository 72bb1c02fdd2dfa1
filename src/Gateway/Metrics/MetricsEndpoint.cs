using System.Diagnostics.Metrics;
using CdcOrleans.Model;
using Microsoft.OpenApi;
using OpenTelemetry.Metrics;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>What <c>/metrics</c> shows: the product's, Orleans', the runtime's and the HTTP server's instruments.</summary>
internal static class MetricsEndpoint
{
    private const string Path = "/metrics";

    // Walks every activation of the silo at each collection: with an actor per row that is seconds of CPU.
    private const string TooDear = "orleans-messaging-processing-activation-data";

    // Of an instrument that is not ours; the product's own may have as many as the library allows, 2,000.
    private const int MostTagSets = 200;

    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<SourceMetrics>();
        services.AddHostedService<SourceWatch>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(CdcMeter.Name, "Microsoft.Orleans", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel")
            .AddRuntimeInstrumentation()
            .AddView(View)
            .AddPrometheusExporter());
    }

    // Memory for all sets of tags an instrument may get is taken at once, and the libraries have more than a hundred instruments.
    private static MetricStreamConfiguration? View(Instrument instrument) =>
        instrument.Name == TooDear ? MetricStreamConfiguration.Drop
        : instrument.Meter.Name == CdcMeter.Name ? null
        : new MetricStreamConfiguration { CardinalityLimit = MostTagSets };

    public static void Map(IEndpointRouteBuilder endpoints) =>
        endpoints.MapPrometheusScrapingEndpoint(Path).WithMetadata(new HttpMethodMetadata([HttpMethods.Get]));

    /// <summary>The exporter's endpoint does not describe itself.</summary>
    public static void Describe(OpenApiDocument document) => document.Paths[Path] = new OpenApiPathItem
    {
        Operations = new Dictionary<HttpMethod, OpenApiOperation>
        {
            [HttpMethod.Get] = new()
            {
                OperationId = "getMetrics",
                Summary = "Figures for Prometheus",
                Tags = new HashSet<OpenApiTagReference> { new("health", document) },
                Responses = new OpenApiResponses
                {
                    ["200"] = new OpenApiResponse
                    {
                        Description = "OK",
                        Content = new Dictionary<string, OpenApiMediaType>
                        {
                            ["text/plain"] = new() { Schema = new OpenApiSchema { Type = JsonSchemaType.String } },
                        },
                    },
                },
            },
        },
    };
}
