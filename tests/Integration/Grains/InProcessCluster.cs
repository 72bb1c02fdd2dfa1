using System.Collections.Concurrent;
using CdcOrleans.Capture.Postgres;
using CdcOrleans.Grains.Hosting;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>An event as the sink of one silo got it.</summary>
internal sealed record Received(string Silo, string Sink, SinkEvent Event);

/// <summary>Silos within this process, on a real source and a real control database; what they deliver is collected.</summary>
internal sealed class InProcessCluster : IAsyncDisposable
{
    private readonly ControlStores _control;
    private readonly bool _ownsControl;
    private readonly SourceConfiguration _captured;
    private readonly CollectingSinks _sinks;

    private InProcessCluster(ControlStores control, bool ownsControl, InProcessTestCluster cluster, SourceConfiguration captured, CollectingSinks sinks)
    {
        _control = control;
        _ownsControl = ownsControl;
        _captured = captured;
        _sinks = sinks;
        Cluster = cluster;
    }

    public InProcessTestCluster Cluster { get; }

    /// <summary>The control database's stores, for a look behind the grains.</summary>
    public ControlStores Control => _control;

    /// <summary>Connection string of the captured database.</summary>
    public string Source => _captured.Connection;

    /// <summary>What all silos delivered, in the order in which it arrived.</summary>
    public ConcurrentQueue<Received> Delivered => _sinks.Delivered;

    /// <summary>Which events the sinks take and do not answer for, until <see cref="Release"/>.</summary>
    public Func<SinkEvent, bool> Holds
    {
        get => _sinks.Holds;
        set => _sinks.Holds = value;
    }

    /// <summary>What the sinks do not accept, by the sink's name and the event; null for what they accept.</summary>
    public Func<string, SinkEvent, DeliveryFailure?> Fails
    {
        get => _sinks.Fails;
        set => _sinks.Fails = value;
    }

    /// <summary>What a test of a sink finds, by the sink's name.</summary>
    public Func<string, Task<string?>> Tests
    {
        get => _sinks.Tests;
        set => _sinks.Tests = value;
    }

    /// <summary>Bytes of the largest event that the sinks take; null without a limit.</summary>
    public long? LargestEvent
    {
        get => _sinks.LargestEvent;
        set => _sinks.LargestEvent = value;
    }

    /// <summary>How many deliveries are not answered for.</summary>
    public int Held => _sinks.Held.Count;

    public static async Task<InProcessCluster> Start(
        ControlServer server, PostgresServer sources, short silos, string schema, Func<SourceConfiguration, SourceConfiguration>? configure = null,
        Func<string, Task>? prepare = null, Func<PipelineConfiguration, PipelineConfiguration>? pipeline = null, Action<IServiceCollection>? services = null)
    {
        var control = await server.Migrated();
        var source = await sources.CreateDatabase($"source_{Guid.NewGuid():N}");
        await PostgresServer.Execute(source, schema);
        if (prepare is not null)
            await prepare(source);
        var captured = new SourceConfiguration
        {
            Name = "shop", Connection = source, Slot = $"slot_{Guid.NewGuid():N}", Publication = "cdc",
            Tables = [new TableSelection { Pattern = "public.*" }], Partitions = 16,
        };
        captured = configure?.Invoke(captured) ?? captured;
        captured = captured with { Tables = [.. captured.Tables.Select(t => t with { Activation = TestActivation.Value })] };
        return await Start(control, ownsControl: true, silos, captured, pipeline, services: services);
    }

    /// <summary>
    /// Another cluster on the same source and control database, which knows nothing of this one: as two sides of a cluster that disagree
    /// about who is alive.
    /// </summary>
    /// <param name="pipeline">Changes the configuration; null for the same as that of this one at first.</param>
    /// <param name="fails">What its sinks do not accept; null: they accept everything.</param>
    public Task<InProcessCluster> StartBeside(
        Func<PipelineConfiguration, PipelineConfiguration>? pipeline = null, Func<string, SinkEvent, DeliveryFailure?>? fails = null) =>
        Start(_control, ownsControl: false, 1, _captured, pipeline, fails);

    /// <summary>The sinks answer for what they have not answered for.</summary>
    public void Release()
    {
        _sinks.Holds = _ => false;
        while (_sinks.Held.TryDequeue(out var delivery))
            delivery.Complete();
    }

    private static async Task<InProcessCluster> Start(
        ControlStores control, bool ownsControl, short silos, SourceConfiguration captured, Func<PipelineConfiguration, PipelineConfiguration>? pipeline,
        Func<string, SinkEvent, DeliveryFailure?>? fails = null, Action<IServiceCollection>? services = null)
    {
        var configuration = new PipelineConfiguration
        {
            Cluster = new ClusterConfiguration { Id = "test" },
            Control = new ControlConfiguration { Connection = control.Connection },
            Sources = new Dictionary<string, SourceConfiguration> { ["shop"] = captured },
            Sinks = new Dictionary<string, SinkConfiguration> { ["collected"] = new CollectedConfiguration { Name = "collected" } },
            Routes = [new RouteConfiguration { From = "shop.*", To = ["collected"] }],
            Gateway = new GatewayConfiguration(),
        };
        configuration = pipeline?.Invoke(configuration) ?? configuration;
        var sinks = new CollectingSinks();
        if (fails is not null)
            sinks.Fails = fails;
        var builder = new InProcessTestClusterBuilder(silos);
        builder.ConfigureSilo((options, silo) =>
        {
            silo.Services.AddSingleton(configuration);
            silo.Services.AddSingleton<ISinkFactory>(new CollectingSinkFactory(options.SiloName, sinks));
            silo.Services.AddPostgresStorage(control.Connection).AddPostgresCapture().AddSinks();
            silo.AddMemoryGrainStorageAsDefault();
            silo.UseInMemoryReminderService();
            silo.AddCdcPipeline();
            services?.Invoke(silo.Services);
        });
        var cluster = builder.Build();
        await cluster.DeployAsync();
        return new InProcessCluster(control, ownsControl, cluster, captured, sinks);
    }

    /// <summary>Waits until the reader streams.</summary>
    public Task Streaming() => Until(
        async () => (await Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).State == SourceState.Streaming, "the reader to stream");

    /// <summary>Waits until so many events, without repetitions, have arrived.</summary>
    public Task Arrived(int events) => Until(
        () => Task.FromResult(Delivered.Select(d => d.Event.Id).Distinct().Count() >= events), $"{events} events");

    /// <summary>Waits for something.</summary>
    public static async Task Until(Func<Task<bool>> done, string what)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); !await done(); await Task.Delay(50, TestContext.Current.CancellationToken))
            Assert.True(DateTime.UtcNow < deadline, $"Waited 60 s for {what}.");
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.StopAllSilosAsync();
        await Cluster.DisposeAsync();
        if (_ownsControl)
            await _control.DisposeAsync();
    }

    internal sealed record CollectedConfiguration : SinkConfiguration
    {
        public override string Type => "collected";
    }

    private sealed class CollectingSinks
    {
        public ConcurrentQueue<Received> Delivered { get; } = new();

        public ConcurrentQueue<Delivery> Held { get; } = new();

        public volatile Func<SinkEvent, bool> Holds = _ => false;

        public volatile Func<string, SinkEvent, DeliveryFailure?> Fails = (_, _) => null;

        public volatile Func<string, Task<string?>> Tests = _ => Task.FromResult<string?>(null);

        public long? LargestEvent { get; set; }
    }

    private sealed class CollectingSinkFactory(string silo, CollectingSinks sinks) : ISinkFactory
    {
        public ISink Create(SinkConfiguration configuration) => new CollectingSink(configuration.Name, silo, sinks);
    }

    private sealed class CollectingSink(string name, string silo, CollectingSinks sinks) : ISink
    {
        private long _count;

        public string Name => name;

        public SinkStatus Status => new()
        {
            Name = name, Type = "collected", Healthy = true, Delivered = Volatile.Read(ref _count), Refused = 0, Failed = 0, Waiting = sinks.Held.Count,
        };

        public long? LargestEvent => sinks.LargestEvent;

        public Task<string?> Test(TimeSpan limit, CancellationToken cancellation) => sinks.Tests(name);

        public void Deliver(Delivery delivery)
        {
            var failed = new HashSet<EntityKey>();
            foreach (var made in delivery.Events)
            {
                made.Failure = failed.Contains(made.Entity) ? DeliveryFailure.OfEvent("An earlier one failed.") : sinks.Fails(name, made);
                if (made.Failure is { IsFinal: false })
                    failed.Add(made.Entity);
                if (made.Failure is not null)
                    continue;
                sinks.Delivered.Enqueue(new Received(silo, name, made));
                Interlocked.Increment(ref _count);
            }

            if (delivery.Events.Any(sinks.Holds))
                sinks.Held.Enqueue(delivery);
            else
                delivery.Complete();
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
