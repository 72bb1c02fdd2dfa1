using System.Diagnostics.Metrics;
using CdcOrleans.Model;
using Microsoft.OpenApi;
using OpenTelemetry.Metrics;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>The metrics at <c>/metrics</c>: those of the product, of Orleans, of the runtime and of the HTTP server.</summary>
internal static class MetricsEndpoint
{
    private const string Path = "/metrics";

    // This instrument reads every activation of the silo at each collection. With one actor per row, that takes seconds of CPU.
    private const string TooExpensive = "orleans-messaging-processing-activation-data";

    // Maximum number of tag sets of an instrument of another library. The product's own instruments may have as many as the exporter
    // allows, 2,000.
    private const int MostTagSets = 200;

    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<SourceMetrics>();
        services.AddHostedService<SourceWatch>();
        services.AddHostedService<JournalWatch>();
        services.AddHostedService<ReplayWatch>();
        services.AddHostedService<BackfillWatch>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(CdcMeter.Name, "Microsoft.Orleans", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel")
            .AddRuntimeInstrumentation()
            .AddView(View)
            .AddPrometheusExporter());
    }

    // The exporter allocates memory for all tag sets of an instrument at once, and the libraries have more than a hundred instruments.
    private static MetricStreamConfiguration? View(Instrument instrument) =>
        instrument.Name == TooExpensive ? MetricStreamConfiguration.Drop
        : instrument.Meter.Name == CdcMeter.Name ? null
        : new MetricStreamConfiguration { CardinalityLimit = MostTagSets };

    public static void Map(IEndpointRouteBuilder endpoints) =>
        endpoints.MapPrometheusScrapingEndpoint(Path).WithMetadata(new HttpMethodMetadata([HttpMethods.Get]));

    /// <summary>Describes the exporter's endpoint in the OpenAPI document, because it does not do that itself.</summary>
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
