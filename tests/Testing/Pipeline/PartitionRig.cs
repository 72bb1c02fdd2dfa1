using System.Collections.Concurrent;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Partitions;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>What a rig's source is like.</summary>
internal sealed record RigOptions
{
    public EntityMode Mode { get; init; } = EntityMode.Row;

    public EntityActivation Activation { get; init; } = EntityActivation.WhenNeeded;

    /// <summary>Whether the changes are kept in a journal.</summary>
    public bool HasJournal { get; init; }

    public long Budget { get; init; } = long.MaxValue / 4;

    public EventOptions Events { get; init; } = EventOptions.Default;

    public string Route { get; init; } = "*";

    public long Memory { get; init; } = 64 << 20;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public DeliveryPolicy Delivery { get; init; } = DeliveryPolicy.Default;

    /// <summary>Sinks of the route besides the rig's own.</summary>
    public IReadOnlyList<TestSink> OtherSinks { get; init; } = [];
}

/// <summary>
/// A partition and its entities over a sink and a store that answer when the test says so. All turns, of the partition and of the
/// entities' activations, run one after the other when the test lets them: what happens is the test's choice alone.
/// </summary>
internal sealed class PartitionRig : IAsyncDisposable
{
    private readonly ConcurrentQueue<(Action<object> Turn, object State)> _turns = new();
    private readonly TurnScheduler _reads = new();
    private readonly SourceOutlets _outlets;
    private readonly StateReader _states;
    private readonly Checkpointer _checkpointer;
    private readonly RouteTable _routes;
    private readonly List<ReplayWork> _works = [];
    private readonly List<BackfillWork> _merges = [];
    private long _replays;

    public PartitionRig(TestStore store, RigOptions? options = null)
    {
        options ??= new RigOptions();
        var source = new SourceConfiguration
        {
            Name = "shop", Connection = "", Slot = "s", Publication = "p",
            Tables = [new TableSelection { Pattern = "*", Entities = options.Mode, Activation = options.Activation, Journal = options.HasJournal ? new JournalOptions() : null }],
            Events = options.Events, Partitions = 1,
        };
        string[] sinks = ["sink", .. options.OtherSinks.Select(s => s.Name)];
        _outlets = new SourceOutlets(
            "shop", 1, [Sink, .. options.OtherSinks], sinks.ToDictionary(s => s, _ => options.Delivery.SpillBytes), options.Time, NullLogger.Instance, () => 0.5);
        var routes = _routes = new RouteTable(
            source, [new RouteConfiguration { From = options.Route, To = sinks, Format = "test", Delivery = sinks.ToDictionary(s => s, _ => options.Delivery) }],
            _outlets.ByName, [Format]);
        Budget = new EntityBudget(options.Budget, 1);
        Memory = new MemoryBudget(options.Memory);
        Figures = new SourceFigures(source, options.Time, Budget, Memory, _outlets.Status);
        _states = new StateReader(store, Memory, Figures, options.Time, NullLogger.Instance, _reads);
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
            Parked = store,
            Histories = store,
            Backfills = new MemoryBackfills(),
            Outlets = _outlets,
            Queries = store,
            Letters = new TestLetters(),
            Schemas = new TestSchemas(),
            Rows = new TestRows(),
            Figures = Figures,
            Time = options.Time,
            Logger = NullLogger.Instance,
        };
        Activations = new TestActivations((turn, state) => _turns.Enqueue((turn, state)));
        Partition = new Partition(runtime, 0, store.Claim(), [.. store.ParkedEntities.Values], Activations, (turn, state) => _turns.Enqueue((turn, state)), store.Fence) { Epoch = 1 };
        Activations.Hosts.Add("shop", 0, Partition);
        _checkpointer.Register(Partition, () => { });
        _outlets.Add(Partition);
        foreach (var sink in (TestSink[])[Sink, .. options.OtherSinks])
            sink.AfterAnswer = RunTurns;
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

    /// <summary>A replay of entities to a sink begins; all turns that follow run.</summary>
    /// <param name="sink">Name of the sink.</param>
    /// <param name="keys">The entities; none for those that are not durable.</param>
    public ReplayWork Replay(string sink, params string[] keys) => Replay(sink, null, keys);

    /// <summary>A replay of entities to a sink begins; all turns that follow run.</summary>
    /// <param name="sink">Name of the sink.</param>
    /// <param name="journal">The past changes that are sent; null: the current rows.</param>
    /// <param name="keys">The entities; none for those that are not durable.</param>
    public ReplayWork Replay(string sink, JournalWindow? journal, params string[] keys)
    {
        var slice = new ReplaySlice(new ReplaySlice.Place(++_replays, 1, 1), sink, Sample.Orders.FullName, keys.Length == 0 ? null : keys) { Journal = journal };
        var work = Partition.Replay(slice, Sample.Orders, _routes.TargetOf(Sample.Orders.FullName, sink)!);
        _works.Add(work);
        RunTurns();
        return work;
    }

    /// <summary>The partition takes rows of a backfill; all turns that follow run.</summary>
    public BackfillWork Merge(ChunkSlice slice)
    {
        var work = Partition.Merge(slice);
        _merges.Add(work);
        RunTurns();
        return work;
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

    /// <summary>Lets the outlets look after their deliveries, and the partition after its parked events.</summary>
    public void LookAfter()
    {
        _outlets.LookAfter();
        RunTurns();
    }

    /// <summary>The way to a sink.</summary>
    public Outlet Outlet(string sink) => _outlets.ByName[sink];

    public async Task Checkpoint()
    {
        await _checkpointer.CommitNow(CancellationToken.None).ConfigureAwait(false);

        // Replays and backfills that waited for it are told by another thread.
        var ended = _works.Where(w => w is { UnderWay: 0, Keys.Count: 0 }).Select(w => w.Done)
            .Concat(_merges.Where(w => w is { UnderWay: 0, Rows.Count: 0 }).Select(w => w.Done));
        foreach (var done in ended)
        {
            if (Partition.Buffer.WhenDurable().IsCompleted)
                await done.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Lets reads of states that are under way come in, and runs what follows from them.</summary>
    public async Task Loaded()
    {
        await Task.Yield();
        do
            RunTurns();
        while (_reads.Run());
        RunTurns();
        while (!IsStopped && Partition.HistoriesAreRead is { IsCompleted: false } read && Partition.Buffer.WhenDurable().IsCompleted)
        {
            await read;
            RunTurns();
        }

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

    /// <summary>After so many turns from now, a checkpoint is made between two turns, and no turn runs any more; null for never.</summary>
    public int? LastCheckpointAfter { get; set; }

    /// <summary>Whether no turn runs any more.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Runs the turns that wait.</summary>
    public void RunTurns()
    {
        while (!IsStopped && _turns.TryDequeue(out var turn))
        {
            turn.Turn(turn.State);
            if (LastCheckpointAfter is not { } left || (LastCheckpointAfter = left - 1) > 0)
                continue;
            IsStopped = true;
            Checkpoint().GetAwaiter().GetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _outlets.DisposeAsync();
        await _checkpointer.DisposeAsync();
        var states = _states.DisposeAsync().AsTask();
        while (!states.IsCompleted)
        {
            _reads.Run();
            await Task.Yield();
        }

        await states;
    }

    /// <summary>Runs reads of states when the test lets it, so that they come in at the same place every time.</summary>
    private sealed class TurnScheduler : TaskScheduler
    {
        private readonly ConcurrentQueue<Task> _tasks = new();

        /// <summary>Runs what waits; false when nothing does.</summary>
        public bool Run()
        {
            var any = false;
            for (; _tasks.TryDequeue(out var task); any = true)
                TryExecuteTask(task);
            return any;
        }

        protected override void QueueTask(Task task) => _tasks.Enqueue(task);

        protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

        protected override IEnumerable<Task> GetScheduledTasks() => _tasks;
    }

    private sealed class TestReader : IWalReaderGrain
    {
        public ValueTask EnsureRunning() => default;

        public ValueTask ReportProgress(ProgressReport report) => default;

        public ValueTask WriteHeartbeat() => default;

        public ValueTask<SourceStatus> GetStatus() => throw new NotSupportedException();
    }

    private sealed class TestRows : IRowFormatter
    {
        public string ToJson(TableSchema table, RowImage row, ValueOptions values) => string.Join('|', Sample.Values(row));
    }

    // The tests give claimed letters to the partition themselves.
    private sealed class TestLetters : IDeadLetterStore
    {
        public Task<IReadOnlyList<LetterSummary>> List(LetterFilter filter, long after, int limit, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<StoredLetter?> Get(long id, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<LetterGroup>> Groups(LetterFilter filter, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<LetterSummary>> Find(IReadOnlyCollection<long> ids, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<StoredLetter>> Claim(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) =>
            throw new NotSupportedException();

        public Task Release(IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<LetterPlace>> Discard(string source, IReadOnlyCollection<long> ids, long generation, CancellationToken cancellation) =>
            throw new NotSupportedException();
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
