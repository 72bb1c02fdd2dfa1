using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using CdcOrleans.Gateway.Api;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Gateway.Metrics;
using CdcOrleans.Gateway.Security;
using CdcOrleans.Model.Configuration;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.OpenApi;

namespace CdcOrleans.Gateway;

/// <summary>Adds the gateway to a web host: that of a silo, or that of the gateway's own process.</summary>
public static class CdcGateway
{
    private const string DocumentPath = "/openapi/{documentName}.json";

    /// <summary>
    /// Adds the services of the gateway: endpoints, metrics, and Kestrel's limits and address. The host provides <see
    /// cref="IGrainFactory"/>, as a silo or an Orleans client does, and calls <see cref="MapCdcGateway"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException"><c>gateway.listen</c> is not a loopback address.</exception>
    public static IServiceCollection AddCdcGateway(this IServiceCollection services, PipelineConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        var settings = new GatewaySettings(configuration);
        if (ListenAddress.Finding(settings.Listen) is { } finding)
            throw new InvalidOperationException(finding);

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(settings);
        services.AddSingleton<ClusterCalls>();
        services.AddSingleton<SourceStatusReader>();
        services.AddRouting();
        services.AddProblemDetails();
        services.AddExceptionHandler<ErrorAnswer>();
        services.AddTransient<IStartupFilter, GuardedPipeline>();
        services.Configure<KestrelServerOptions>(kestrel => Limit(kestrel, settings));
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, GatewayJson.Default);
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            // Quotes and letters beyond ASCII are not escaped. This is safe here: answers are application/json with nosniff and never part
            // of a page.
            json.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        });
        // ASP.NET Core logs the paths of requests at the level Information, and paths contain keys.
        services.AddLogging(logging => logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning));
        services.AddOpenApi("v1", Describe);
        MetricsEndpoint.Add(services);
        return services;
    }

    /// <summary>Maps <c>/api/v1</c>, <c>/health</c>, <c>/metrics</c> and <c>/openapi/v1.json</c>.</summary>
    public static IEndpointRouteBuilder MapCdcGateway(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        StatusEndpoints.Map(endpoints);
        EntityEndpoints.Map(endpoints);
        JournalEndpoints.Map(endpoints);
        SinkEndpoints.Map(endpoints);
        LetterEndpoints.Map(endpoints);
        OperationEndpoints.Map(endpoints);
        ReplayEndpoints.Map(endpoints);
        BackfillEndpoints.Map(endpoints);
        HealthEndpoints.Map(endpoints);
        MetricsEndpoint.Map(endpoints);
        endpoints.MapOpenApi(DocumentPath);
        return endpoints;
    }

    private static void Describe(OpenApiOptions openApi)
    {
        openApi.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "CdcOrleans";
            document.Info.Version = "v1";
            document.Info.Description = "The status of the pipeline, its entities, and what could not be delivered. Errors are problem documents (RFC 9457).";
            MetricsEndpoint.Describe(document);
            return Task.CompletedTask;
        });
        // The columns of a row depend on the table, so the document does not list them.
        openApi.AddSchemaTransformer((schema, context, _) =>
        {
            if (context.JsonTypeInfo.Type == typeof(JsonElement))
                schema.Type = JsonSchemaType.Object;
            return Task.CompletedTask;
        });
    }

    // The largest body has 1000 ids, so a small limit is enough.
    private static void Limit(KestrelServerOptions kestrel, GatewaySettings settings)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = 64 << 10;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16 << 10;
        kestrel.Limits.MaxRequestHeaderCount = 64;
        kestrel.Limits.MaxRequestLineSize = 16 << 10;
        kestrel.Limits.MaxConcurrentConnections = 1000;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        ListenAddress.Bind(kestrel, settings.Listen);
    }
}
