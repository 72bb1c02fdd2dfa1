using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Model.Configuration;
using Npgsql;
using Orleans.Configuration;

namespace CdcOrleans.Gateway;

/// <summary>The gateway as a process of its own: an Orleans client of the cluster that the configuration names.</summary>
internal static class GatewayHost
{
    /// <summary>Schema of the control database that holds Orleans' own tables.</summary>
    public const string OrleansSchema = "orleans";

    public static WebApplication Build(PipelineConfiguration configuration)
    {
        // Empty: addresses and limits come from cdc.yaml alone, not from ASPNETCORE_URLS or an appsettings.json lying about.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(GatewayHost).Assembly.GetName().Name });
        builder.WebHost.UseKestrelCore();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        // Kestrel answers while the client still looks for the cluster: alive, not ready, and saying why.
        builder.Services.Configure<HostOptions>(host => host.ServicesStartConcurrently = true);
        // Being stopped while still looking for the cluster is no failure to start.
        var stopping = CancellationToken.None;
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", 
            level => level >= LogLevel.Information && !stopping.IsCancellationRequested);
        // It names the grain that did not answer, and an entity's name holds its key. The gateway tells of it without.
        builder.Logging.AddFilter("Orleans.Runtime.CallbackData", LogLevel.None);
        // Would repeat every 2 s what ConnectionRetry says once a minute.
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
        // Silos come and go within seconds; a minute, the default, would be a minute of errors.
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
