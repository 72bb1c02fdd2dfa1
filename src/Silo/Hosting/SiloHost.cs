using System.Net;
using System.Net.Sockets;
using CdcOrleans.Capture.Postgres;
using CdcOrleans.Gateway;
using CdcOrleans.Grains.Hosting;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks;
using CdcOrleans.Storage.Postgres;
using Orleans.Configuration;

namespace CdcOrleans.Silo.Hosting;

/// <summary>Puts the process together: Orleans, capture, storage, sinks, grains, and the gateway if it runs in this process.</summary>
internal static class SiloHost
{
    public static WebApplication Build(PipelineConfiguration configuration, bool withGateway)
    {
        // An empty builder: addresses and limits come only from the configuration, not from ASPNETCORE_URLS or a stray appsettings.json.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(SiloHost).Assembly.GetName().Name });
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.UseUtcTimestamp = true;
        });

        // The retries of placement add no information. CallbackData logs grain ids, and the id of an entity grain contains its key.
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Orleans", LogLevel.Warning).AddFilter("Polly", LogLevel.None).AddFilter("Orleans.Runtime.CallbackData", LogLevel.None).AddFilter("Npgsql", LogLevel.Warning);
        builder.Services.AddSingleton(configuration);
        builder.Services.AddPostgresStorage(configuration.Control.Connection);
        builder.Services.AddPostgresCapture();
        builder.Services.AddSinks();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(25));
        if (withGateway)
        {
            builder.WebHost.UseKestrelCore();
            builder.Services.AddCdcGateway(configuration);
        }
        else
        {
            builder.Services.AddSingleton<Microsoft.AspNetCore.Hosting.Server.IServer, NoServer>();
        }

        builder.UseOrleans(silo => Configure(silo, configuration));
        var app = builder.Build();
        if (withGateway)
            app.MapCdcGateway();
        return app;
    }

    private static void Configure(ISiloBuilder silo, PipelineConfiguration configuration)
    {
        var cluster = configuration.Cluster;
        var control = ControlDatabase.OrleansConnection(configuration.Control.Connection);
        silo.Configure<ClusterOptions>(options => options.ClusterId = options.ServiceId = cluster.Id);
        silo.UseAdoNetClustering(options =>
        {
            options.Invariant = ControlDatabase.OrleansInvariant;
            options.ConnectionString = control;
        });
        silo.UseAdoNetReminderService(options =>
        {
            options.Invariant = ControlDatabase.OrleansInvariant;
            options.ConnectionString = control;
        });
        silo.AddAdoNetGrainStorageAsDefault(options =>
        {
            options.Invariant = ControlDatabase.OrleansInvariant;
            options.ConnectionString = control;
        });
        var address = IPAddress.Parse(cluster.Address);
        silo.ConfigureEndpoints(address, PortOrFree(address, cluster.SiloPort), PortOrFree(address, cluster.ClientPort), listenOnAnyHostAddress: false);

        silo.Services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, FormerSilos>();

        // A dead silo is detected in about three seconds, so its sources and partitions run on other silos within ten. A frozen one takes a
        // little longer: it is not suspected while a message of it has come within so many times the longest probe. A wrong verdict costs a
        // restart and no data, because the store accepts only the newest epoch and generation.
        silo.Configure<ClusterMembershipOptions>(options =>
        {
            options.ProbeTimeout = TimeSpan.FromSeconds(1);
            options.NumMissedProbesLimit = 3;
            options.MaxProbeTimeout = TimeSpan.FromSeconds(1.5);

            // Silos tell each other who died. One that is not told, or that does not get the message, reads it here.
            options.TableRefreshTimeout = TimeSpan.FromSeconds(2);
            options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            options.NumMissedTableIAmAliveLimit = 2;
        });
        silo.AddCdcPipeline();
    }

    // The port is below the range of outgoing connections; otherwise such a connection could take it before the silo binds it.
    private static int PortOrFree(IPAddress address, int port)
    {
        while (port == 0)
        {
            var tried = Random.Shared.Next(10_000, 32_000);
            using var listener = new TcpListener(address, tried);
            try
            {
                listener.Start();
                port = tried;
            }
            catch (SocketException taken) when (taken.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
            {
                // Another process uses the port: try another one.
            }
        }

        return port;
    }
}
