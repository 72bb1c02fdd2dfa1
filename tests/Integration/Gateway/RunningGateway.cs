using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using CdcOrleans.Gateway;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The gateway behind a real HTTP server on a free loopback port, before a scripted cluster.</summary>
internal sealed class RunningGateway : IAsyncDisposable
{
    private readonly WebApplication _app;

    private RunningGateway(WebApplication app, ConcurrentQueue<string> log)
    {
        _app = app;
        Log = log;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
    }

    public HttpClient Client { get; }

    /// <summary>Everything logged, exceptions included.</summary>
    public ConcurrentQueue<string> Log { get; }

    public static async Task<RunningGateway> Start(FakeCluster cluster, params string[] sources)
    {
        var log = new ConcurrentQueue<string>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Trace).AddProvider(new LogTo(log));
        builder.Services.AddCdcGateway(Configuration(sources));
        builder.Services.AddSingleton(cluster.Factory);
        var settings = (GatewaySettings)builder.Services.Single(s => s.ServiceType == typeof(GatewaySettings)).ImplementationInstance!;
        settings.CallTimeout = TimeSpan.FromMilliseconds(500);
        settings.PollInterval = TimeSpan.FromMilliseconds(50);
        var app = builder.Build();
        app.MapCdcGateway();
        await app.StartAsync();
        return new RunningGateway(app, log);
    }

    public static PipelineConfiguration Configuration(params string[] sources) => new()
    {
        Cluster = new ClusterConfiguration { Id = "shop-cluster" },
        Control = new ControlConfiguration { Connection = "Host=127.0.0.1;Port=1;Database=cdc;Username=cdc" },
        Sources = sources.ToDictionary(s => s, s => new SourceConfiguration
        {
            Name = s,
            Connection = "Host=127.0.0.1;Password=secret-of-the-source",
            Slot = "cdc_" + s,
            Publication = "pub_" + s,
            Tables = [
                new TableSelection { Pattern = "public.log", Entities = EntityMode.Off },
                new TableSelection { Pattern = "public.kept", Journal = new JournalOptions { Age = TimeSpan.FromDays(7) } }, new TableSelection { Pattern = "public.*" }],
        }),
        Sinks = new Dictionary<string, SinkConfiguration> { ["events"] = new CdcOrleans.Integration.Grains.InProcessCluster.CollectedConfiguration { Name = "events" } },
        Routes = [],
        Gateway = new GatewayConfiguration { Listen = new Uri("http://127.0.0.1:0") },
    };

    public static SourceStatus Status(string source, SourceState state = SourceState.Streaming, string? detail = null) => new()
    {
        Source = source, State = state, Detail = detail, Silo = "S127.0.0.1:11111:1", Epoch = 7, Slot = "cdc_" + source,
        ServerLsn = Lsn.Parse("0/16B3748"), ReceivedLsn = Lsn.Parse("0/16B3700"), ConfirmedLsn = Lsn.Parse("0/16B3648"),
        LagBytes = 256, LagSeconds = 0.25, RetainedBytes = 4096,
        WindowChanges = 12, WindowChangesLimit = 100_000, WindowBytes = 2048, WindowBytesLimit = 67_108_864,
        Changes = 5_000_000_000, Transactions = 1234, ChangesPerSecond = 987.5, Heartbeats = 3, Partitions = 32,
        LeftOut = ["table public.keyless is not captured"],
        Silos = new Dictionary<string, SiloFigures>
        {
            ["S127.0.0.1:11111:1"] = new()
            {
                Finished = 4_999_999_988, Duplicates = 5, DeadLetters = 1, AwakeEntities = 1000, EntityBytes = 500_000,
                MemoryLimit = 256 << 20, MemoryOfWindow = 64 << 20, MemoryOfApplies = 81_920, MemoryOfUnsaved = 4096, WaitingForMemory = 2, EntitiesWoken = 1500, EntitiesPutToSleep = 500, AppliedInPassing = 700, StateReads = 40,
                Checkpoints = 60, StatesWritten = 900, LatencyP50 = 2.5, LatencyP99 = 8.25, LatencyMax = 20, Partitions = 32, Unrouted = 2,
                Sinks = [new SinkStatus { Name = "events", Type = "kafka", Healthy = true, Delivered = 4_999_999_000, Failed = 0, Refused = 1, Waiting = 12, OldestParkedSeconds = 61 }],
            },
        },
    };

    public static EntityView View(string source, string table, string key, string? row = """{"id":1}""") => new()
    {
        Id = new EntityId(source, new EntityKey(table, key)), Version = new ChangeVersion(Lsn.Parse("0/16B3648"), 2),
        Deleted = row is null, SchemaVersion = 3, Row = row, Waiting = 1, Awake = true,
    };

    public async Task<(HttpStatusCode Status, JsonElement Body)> Get(string path)
    {
        using var response = await Client.GetAsync(new Uri(path, UriKind.Relative));
        var media = response.Content.Headers.ContentType?.MediaType;
        Assert.Equal(response.IsSuccessStatusCode ? "application/json" : "application/problem+json", media);
        var body = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        if (!response.IsSuccessStatusCode)
        {
            Assert.Equal((int)response.StatusCode, body.GetProperty("status").GetInt32());
            Assert.StartsWith("urn:cdcorleans:problem:", body.GetProperty("type").GetString(), StringComparison.Ordinal);
            Assert.NotEmpty(body.GetProperty("title").GetString()!);
            Assert.NotEmpty(body.GetProperty("detail").GetString()!);
        }

        return (response.StatusCode, body);
    }

    /// <summary>Sends bytes as they are: clients tidy addresses up.</summary>
    public async Task<string> Raw(string request)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, Client.BaseAddress!.Port);
        var stream = tcp.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private sealed class LogTo(ConcurrentQueue<string> log) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
