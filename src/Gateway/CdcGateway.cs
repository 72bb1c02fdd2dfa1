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

/// <summary>The gateway for a web host: a silo's or that of a process of its own.</summary>
public static class CdcGateway
{
    private const string DocumentPath = "/openapi/{documentName}.json";

    /// <summary>
    /// Adds the gateway: its endpoints' parts, metrics, and the limits and address of Kestrel. The host brings
    /// <see cref="IGrainFactory"/>, as a silo or an Orleans client does, and calls <see cref="MapCdcGateway"/>.
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
            // Readable quotes and letters beyond ASCII. Safe here: answers are application/json with nosniff, never part of a page.
            json.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        });
        // ASP.NET Core logs the paths of requests as information, and paths hold keys.
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
            document.Info.Description = "Where the pipeline stands, and its entities. Errors are problem documents (RFC 9457).";
            MetricsEndpoint.Describe(document);
            return Task.CompletedTask;
        });
        // A row: its columns are the table's, not ours to name.
        openApi.AddSchemaTransformer((schema, context, _) =>
        {
            if (context.JsonTypeInfo.Type == typeof(JsonElement))
                schema.Type = JsonSchemaType.Object;
            return Task.CompletedTask;
        });
    }

    // No endpoint takes a body, so nobody needs room for a large one.
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
