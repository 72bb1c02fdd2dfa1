using System.Collections.Concurrent;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Partitions;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging.Abstractions;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>What a rig's source is like.</summary>
internal sealed record RigOptions
{
    public EntityMode Mode { get; init; } = EntityMode.Row;

    public EntityActivation Activation { get; init; } = EntityActivation.WhenNeeded;

    public long Budget { get; init; } = long.MaxValue / 4;

    public EventOptions Events { get; init; } = EventOptions.Default;

    public string Route { get; init; } = "*";

    public long Memory { get; init; } = 64 << 20;

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>
/// A partition and its entities over a sink and a store that answer when the test says so. All turns, of the partition and of the
/// entities' activations, run one after the other when the test lets them: what happens is the test's choice alone.
/// </summary>
internal sealed class PartitionRig : IAsyncDisposable
{
    private readonly ConcurrentQueue<(Action<object> Turn, object State)> _turns = new();
    private readonly StateReader _states;
    private readonly Checkpointer _checkpointer;

    public PartitionRig(TestStore store, RigOptions? options = null)
    {
        options ??= new RigOptions();
        var source = new SourceConfiguration
        {
            Name = "shop", Connection = "", Slot = "s", Publication = "p",
            Tables = [new TableSelection { Pattern = "*", Entities = options.Mode, Activation = options.Activation }],
            Events = options.Events, Partitions = 1,
        };
        var routes = new RouteTable(
            source, [new RouteConfiguration { From = options.Route, To = ["sink"], Format = "test" }],
            new Dictionary<string, ISink> { ["sink"] = Sink }, [Format]);
        Budget = new EntityBudget(options.Budget, 1);
        Memory = new MemoryBudget(options.Memory);
        Figures = new SourceFigures(source, options.Time, Budget, Memory, [Sink]);
        _states = new StateReader(store, Memory, Figures, options.Time, NullLogger.Instance);
        _checkpointer = new Checkpointer(
            source, "silo", new ControlConfiguration { Connection = "", CheckpointInterval = TimeSpan.FromDays(1), CheckpointBytes = long.MaxValue },
            store, Figures, new TestReader(), options.Time, NullLogger.Instance);
        var runtime = new SourceRuntime
        {
            Configuration = source,
            Database = "db",
            Routes = routes,
            States = _states,
            Checkpointer = _checkpointer,
            Budget = Budget,
            Memory = Memory,
            Store = store,
            Queries = store,
            Schemas = new TestSchemas(),
            Rows = new TestRows(),
            Figures = Figures,
            Time = options.Time,
            Logger = NullLogger.Instance,
        };
        Activations = new TestActivations((turn, state) => _turns.Enqueue((turn, state)));
        Partition = new Partition(runtime, 0, store.Claim(), Activations, (turn, state) => _turns.Enqueue((turn, state))) { Epoch = 1 };
        Activations.Hosts.Add("shop", 0, Partition);
        _checkpointer.Register(Partition, () => { });
        Sink.AfterAnswer = RunTurns;
    }

    public Partition Partition { get; }

    public TestActivations Activations { get; }

    public EntityBudget Budget { get; }

    public MemoryBudget Memory { get; }

    public SourceFigures Figures { get; }

    public TestSink Sink { get; } = new();

    public TestFormat Format { get; } = new();

    public EntityPhase Phase(string key) => Partition.PhaseOf(new EntityKey(Sample.Orders.FullName, key));

    /// <summary>The partition takes changes; all turns that follow run.</summary>
    public void Take(params RowChange[] changes)
    {
        Partition.Take(changes);
        RunTurns();
    }

    /// <summary>The sinks answer whatever comes, until nothing is under way. Checkpoints are made while applies wait for memory.</summary>
    public async Task AnswerAll()
    {
        do
        {
            await Loaded();
            Sink.Answer(_ => true);
            if (Memory.Use.Waiting > 0)
                await Checkpoint();
        }
        while (Partition.Unfinished > 0 || Sink.Open.Count > 0);
        await Loaded();
    }

    public Task Checkpoint() => _checkpointer.CommitNow(CancellationToken.None);

    /// <summary>Lets reads of states that are under way come in, and runs what follows from them.</summary>
    public async Task Loaded()
    {
        await Task.Yield();
        RunTurns();
    }

    /// <summary>Runs the next turn that waits; false when none does.</summary>
    public bool RunTurn()
    {
        if (!_turns.TryDequeue(out var turn))
            return false;
        turn.Turn(turn.State);
        return true;
    }

    /// <summary>Runs the turns that wait.</summary>
    public void RunTurns()
    {
        while (_turns.TryDequeue(out var turn))
            turn.Turn(turn.State);
    }

    public async ValueTask DisposeAsync()
    {
        await _checkpointer.DisposeAsync();
        await _states.DisposeAsync();
    }

    private sealed class TestReader : IWalReaderGrain
    {
        public ValueTask EnsureRunning() => default;

        public ValueTask ReportProgress(ProgressReport report) => default;

        public ValueTask<SourceStatus> GetStatus() => throw new NotSupportedException();
    }

    private sealed class TestRows : IRowFormatter
    {
        public string ToJson(TableSchema table, RowImage row, ValueOptions values) => string.Join('|', Sample.Values(row));
    }

    private sealed class TestSchemas : ISchemaStore
    {
        public Task<TableSchema> Register(string source, TableSchema shape, CancellationToken cancellation) => throw new NotSupportedException();

        public ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation) => throw new NotSupportedException();

        public ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation) =>
            ValueTask.FromResult<int?>(table == Sample.Orders.FullName ? Sample.Orders.TableId : null);

        public Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyDictionary<uint, SeenOrigin>> Origins(string source, CancellationToken cancellation) => throw new NotSupportedException();

        public Task SaveOrigins(string source, IReadOnlyDictionary<uint, SeenOrigin> origins, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation) => throw new NotSupportedException();
    }
}
