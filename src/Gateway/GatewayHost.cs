using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Model.Configuration;
using Npgsql;
using Orleans.Configuration;

namespace CdcOrleans.Gateway;

/// <summary>The gateway in a process of its own: an Orleans client of the cluster in the configuration.</summary>
internal static class GatewayHost
{
    /// <summary>Schema in the control database with Orleans' own tables.</summary>
    public const string OrleansSchema = "orleans";

    public static WebApplication Build(PipelineConfiguration configuration)
    {
        // An empty builder: addresses and limits come only from cdc.yaml, not from ASPNETCORE_URLS or a stray appsettings.json.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(GatewayHost).Assembly.GetName().Name });
        builder.WebHost.UseKestrelCore();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        // Kestrel answers while the client is still connecting: the process is live, not ready, and reports why.
        builder.Services.Configure<HostOptions>(host => host.ServicesStartConcurrently = true);
        // A stop while the client is still connecting is not a failed start.
        var stopping = CancellationToken.None;
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", 
            level => level >= LogLevel.Information && !stopping.IsCancellationRequested);
        // This logger would log the id of the grain that did not answer, and the id of an entity grain contains its key. The gateway logs
        // the failure without it.
        builder.Logging.AddFilter("Orleans.Runtime.CallbackData", LogLevel.None);
        // This logger would repeat every 2 s what ConnectionRetry logs once a minute.
        builder.Logging.AddFilter("Orleans.Messaging.GatewayManager", LogLevel.Error);
        builder.Services.AddCdcGateway(configuration);
        builder.UseOrleansClient(client => Connect(client, configuration));
        var app = builder.Build();
        stopping = app.Lifetime.ApplicationStopping;
        app.MapCdcGateway();
        return app;
    }

    private static void Connect(IClientBuilder client, PipelineConfiguration configuration)
    {
        client.Configure<ClusterOptions>(cluster =>
        {
            cluster.ClusterId = configuration.Cluster.Id;
            cluster.ServiceId = configuration.Cluster.Id;
        });
        client.UseAdoNetClustering(clustering =>
        {
            clustering.Invariant = "Npgsql";
            clustering.ConnectionString = MembershipConnection(configuration.Control.Connection);
        });
        // Silos start and stop within seconds. With the default of one minute, requests would fail for a minute.
        client.Configure<GatewayOptions>(gateways => gateways.GatewayListRefreshPeriod = TimeSpan.FromSeconds(5));
        client.Configure<ClientMessagingOptions>(messaging =>
        {
            messaging.ResponseTimeout = TimeSpan.FromSeconds(10);
            messaging.MaxMessageBodySize = MessageLimits.MostBytes;
        });
        client.Services.AddSingleton<IClientConnectionRetryFilter, ConnectionRetry>();
    }

    internal static string MembershipConnection(string control) => new NpgsqlConnectionStringBuilder(control)
    {
        SearchPath = OrleansSchema,
        ApplicationName = "cdc-gateway",
        MaxPoolSize = 4,
    }.ConnectionString;
}
