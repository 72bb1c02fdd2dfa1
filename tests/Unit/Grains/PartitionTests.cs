using System.Collections.Concurrent;
using System.Globalization;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CsCheck;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>A partition over a sink and a store that answer when the test says so.</summary>
public sealed class PartitionTests
{
    private enum Step
    {
        Take,
        Answer,
        Checkpoint,
        Crash,
    }

    /// <summary>
    /// Random histories of changes to few entities, with sinks answering in any order, checkpoints at any time and crashes in between:
    /// per entity the sink sees versions in order; each once but for what repeats after a crash; and everything at last.
    /// </summary>
    [Fact]
    public void Order_and_dedupe_hold_over_random_histories() =>
        Gen.Select(
            Gen.Int[0, 4].Array[1, 60],
            Gen.Select(Gen.OneOf(Step.Take, Step.Take, Step.Answer, Step.Answer, Step.Checkpoint, Step.Crash), Gen.Int[0, 1000]).Array[0, 150],
            Gen.Bool).Sample((entities, steps, lanes) => Run(entities, steps, lanes ? EntityMode.Off : EntityMode.Row).GetAwaiter().GetResult(), iter: 400);

    [Fact]
    public async Task An_entity_ahead_of_its_partitions_progress_is_not_applied_twice()
    {
        var store = new Store();
        await using (var first = new Rig(store, EntityMode.Row))
        {
            // The first change's delivery stays open, the second's is answered: the checkpoint has entity b ahead of the progress.
            first.Take(Create("a", 1), Create("b", 2));
            first.Sink.Answer(d => d.Events[0].Version == Sample.Version(2));
            await first.Checkpoint();
        }

        Assert.Equal(ChangeVersion.None, store.Claims.Progress);
        Assert.Equal(Sample.Version(2), store.Claims.High);
        await using var second = new Rig(store, EntityMode.Row);
        second.Take(Create("a", 1), Create("b", 2), Create("b", 3));
        await second.AnswerAll();
        Assert.Equal([Sample.Version(1), Sample.Version(3)], second.Sink.Answered.Select(e => e.Version));
        Assert.Equal(Sample.Version(3), second.Partition.Buffer.Cut()!.Progress);
    }

    [Fact]
    public async Task A_hot_entitys_changes_leave_as_one_batch_while_one_is_under_way()
    {
        await using var rig = new Rig(new Store(), EntityMode.Row);
        rig.Take(Create("a", 1));
        for (var i = 2; i <= 100; i++)
            rig.Take(Create("a", i), Create("b" + i, i, 2));
        Assert.Single(rig.Sink.Open, d => d.Events[0].Version == Sample.Version(1));
        Assert.Single(rig.Sink.Open, d => Encoding(d) == "a");

        rig.Sink.Answer(d => Encoding(d) == "a");
        Assert.Equal(99, rig.Sink.Open.Single(d => Encoding(d) == "a").Events.Count);
        await rig.AnswerAll();
        Assert.Equal(Enumerable.Range(1, 100).Select(i => Sample.Version(i)), rig.Sink.Answered.Where(e => Key(e) == "a").Select(e => e.Version));
    }

    [Fact]
    public async Task A_refused_event_becomes_a_dead_letter_and_its_neighbours_and_successors_go_on()
    {
        await using var rig = new Rig(new Store(), EntityMode.Row);
        rig.Sink.Refuse = e => e.Version == Sample.Version(1);
        rig.Take(Create("a", 1), Create("b", 2), Create("a", 3));
        await rig.AnswerAll();
        var cut = rig.Partition.Buffer.Cut()!;
        var letter = Assert.Single(cut.DeadLetters);
        Assert.Equal(("a", Sample.Version(1), "sink", "no"), (letter.Entity.Key, letter.Version, letter.Sink, letter.Error));
        Assert.Equal(Sample.Version(3), cut.Progress);
    }

    [Fact]
    public async Task A_change_that_cannot_be_formatted_becomes_a_dead_letter_too()
    {
        await using var rig = new Rig(new Store(), EntityMode.Row);
        rig.Format.Breaks = v => v == Sample.Version(1);
        rig.Take(Create("a", 1), Create("b", 2));
        await rig.AnswerAll();
        var cut = rig.Partition.Buffer.Cut()!;
        Assert.Equal(Sample.Version(1), Assert.Single(cut.DeadLetters).Version);
        Assert.Equal(Sample.Version(2), cut.Progress);
    }

    [Fact]
    public async Task Entities_are_let_go_beyond_the_budget_and_come_back_from_buffer_and_store()
    {
        var store = new Store();
        await using var rig = new Rig(store, EntityMode.Row, budget: 4000);
        for (var i = 1; i <= 100; i++)
        {
            rig.Take(Create("k" + i, i));
            await rig.AnswerAll();
            if (i == 50)
                await rig.Checkpoint();
        }

        Assert.InRange(rig.Budget.Entities, 1, 12);
        rig.Take(Update("k1", 101), Update("k99", 102));
        await rig.AnswerAll();
        Assert.Equal(["k1", "k99"], rig.Format.Befores.TakeLast(2).Select(b => b[0]).Order());
    }

    [Fact]
    public async Task A_truncation_leaves_nothing_of_its_table_and_is_told_once()
    {
        var store = new Store();
        await using var rig = new Rig(store, EntityMode.Row, events: new EventOptions { Skip = SkippedOperations.None });
        var other = Sample.Change(ChangeOperation.Create, "x", Sample.Version(2), Sample.Row("x", "kept", null), table: Sample.Table("kept", 1, "id", "status", "note"));
        rig.Take(Create("a", 1), other);
        await rig.AnswerAll();
        await rig.Checkpoint();
        await store.Truncate("shop", 1, Sample.Orders.TableId, Sample.Version(3), CancellationToken.None);

        rig.Take(Sample.Change(ChangeOperation.Truncate, "", Sample.Version(3)));
        await rig.AnswerAll();
        Assert.Equal(Sample.Version(3), rig.Sink.Answered[^1].Version);
        Assert.Equal(1, rig.Budget.Entities);
        Assert.False(rig.Partition.TryRead(new EntityKey("public.orders", "a"), out _, out _));

        // What comes after knows nothing of before.
        rig.Take(Update("a", 4));
        await rig.AnswerAll();
        Assert.Empty(rig.Format.Befores);
    }

    [Theory]
    [InlineData(SkippedOperations.Create, 0)]
    [InlineData(SkippedOperations.Update, 1)]
    public async Task A_skipped_operation_makes_no_event_and_is_held_all_the_same(SkippedOperations skip, int events)
    {
        await using var rig = new Rig(new Store(), EntityMode.Row, events: new EventOptions { Skip = skip });
        rig.Take(Create("a", 1));
        await rig.AnswerAll();
        Assert.Equal(events, rig.Sink.Answered.Count);
        Assert.True(rig.Partition.TryRead(new EntityKey("public.orders", "a"), out var state, out _));
        Assert.Equal(Sample.Version(1), state!.Version);
        Assert.Equal(1 - events, rig.Figures.Take().Skipped);
    }

    [Theory]
    [InlineData("*", 0, 1)]
    [InlineData("mall.*", 2, 0)]
    public async Task What_makes_no_event_counts_once_as_unrouted_or_as_skipped(string route, int unrouted, int skipped)
    {
        var events = new EventOptions { Skip = SkippedOperations.Create };
        var store = new Store();
        await using (var first = new Rig(store, EntityMode.Row, events: events, route: route))
        {
            first.Take(Create("a", 1), Update("a", 2));
            await first.AnswerAll();
            Assert.Equal((unrouted, skipped), (first.Figures.Take().Unrouted, first.Figures.Take().Skipped));

            // Their states are durable, their partition's progress is not.
            await first.Checkpoint();
            store.Forget();
        }

        await using var second = new Rig(store, EntityMode.Row, events: events, route: route);
        second.Take(Create("a", 1), Update("a", 2));
        await second.AnswerAll();
        Assert.Equal((0, 0, 2), (second.Figures.Take().Unrouted, second.Figures.Take().Skipped, second.Figures.Take().Duplicates));
    }

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task Once_closed_nothing_that_waits_is_handed_over(EntityMode mode)
    {
        await using var rig = new Rig(new Store(), mode);
        rig.Take(Create("a", 1));
        rig.Take(Create("a", 2), Create("b", 3));
        await rig.Loaded();
        var before = rig.Sink.Open.Count;
        rig.Partition.Close();
        while (rig.Sink.Open.Count > 0)
            rig.Sink.Answer(_ => true);
        await rig.Loaded();
        Assert.Equal(before, rig.Sink.Answered.Count);
        Assert.DoesNotContain(rig.Sink.Answered, e => e.Version == Sample.Version(2));
        Assert.Equal((0, 0), (rig.Budget.Entities, rig.Budget.Bytes));
        Assert.Throws<InvalidOperationException>(() => rig.Take(Create("c", 4)));
    }

    [Fact]
    public async Task Once_ended_a_state_that_arrives_starts_nothing()
    {
        var store = new Store();
        await using (var first = new Rig(store, EntityMode.Row))
        {
            first.Take(Create("a", 1));
            await first.AnswerAll();
            await first.Checkpoint();
        }

        await using var rig = new Rig(store, EntityMode.Row);
        rig.Partition.Take([Update("a", 2)]);
        rig.Partition.End();
        for (var i = 0; i < 100; i++)
            await rig.Loaded();
        Assert.Empty(rig.Sink.Open);
    }

    [Fact]
    public async Task Applies_that_grow_by_held_rows_wait_for_room_in_order_and_small_ones_pass_by()
    {
        await using var rig = new Rig(new Store(), EntityMode.Row, window: 1 << 20);
        var large = new string('x', 100_000);
        for (var i = 1; i <= 300; i++)
            rig.Take(Large("k" + i, i, large));
        rig.Take(Create("small", 301));
        await rig.AnswerAll();
        rig.Sink.Answered.Clear();

        for (var i = 1; i <= 300; i++)
            rig.Take(Touched("k" + i, 1000 + i));
        rig.Take(Touched("k300", 1301));
        Assert.InRange(rig.Sink.Open.Count, 2, (2 << 20) / 300_000);
        Assert.InRange(rig.Growth.Bytes, 1, 2 << 20);
        rig.Take(Update("small", 2000));
        Assert.Equal("small", Encoding(rig.Sink.Open[^1]));

        var most = 0;
        while (rig.Sink.Open.Count > 0)
        {
            most = Math.Max(most, rig.Sink.Open.Count);
            rig.Sink.AnswerOne(0);
        }

        Assert.InRange(most, 1, 1 + ((2 << 20) / 300_000));
        Assert.Equal(Enumerable.Range(1001, 301).Select(i => Sample.Version(i)), rig.Sink.Answered.Select(e => e.Version).Where(v => v < Sample.Version(2000)));
        Assert.Equal(301, rig.Format.Befores.Count(b => b[2] == large));
        Assert.Equal(0, rig.Growth.Bytes);
    }

    [Fact]
    public async Task An_apply_larger_than_all_room_passes_alone_and_what_has_ended_gives_its_room_back()
    {
        await using var rig = new Rig(new Store(), EntityMode.Row, window: 1 << 20);
        rig.Take(Large("a", 1, new string('x', 3 << 20)), Large("b", 2, new string('x', 100_000)));
        await rig.AnswerAll();
        rig.Take(Touched("a", 3), Touched("b", 4));
        Assert.Equal("a", Encoding(Assert.Single(rig.Sink.Open)));
        rig.Sink.Answer(_ => true);
        Assert.Equal("b", Encoding(Assert.Single(rig.Sink.Open)));

        rig.Sink.Answer(_ => true);

        // A row that cannot be read ends the activation that met it, not the room of the others.
        Assert.ThrowsAny<Exception>(() => rig.Take(Sample.Change(ChangeOperation.Update, "b", Sample.Version(5), new RowImage([0, 3, (byte)'?']))));
        Assert.Equal(0, rig.Growth.Bytes);

        rig.Take(Touched("a", 6));
        rig.Partition.Close();
        rig.Sink.Answer(_ => true);
        Assert.Empty(rig.Sink.Open);
        Assert.Equal(0, rig.Growth.Bytes);
    }

    private static async Task Run(int[] entities, (Step Step, int Pick)[] steps, EntityMode mode)
    {
        var store = new Store();
        var changes = entities.Select((e, i) => Create("k" + e, i + 1)).ToArray();
        var seen = new List<SinkEvent>();
        var crashes = 0;
        var rig = new Rig(store, mode);
        var next = 0;
        foreach (var (step, pick) in steps)
        {
            switch (step)
            {
                case Step.Take when next < changes.Length:
                    var count = 1 + (pick % Math.Min(5, changes.Length - next));
                    rig.Take(changes[next..(next + count)]);
                    next += count;
                    break;
                case Step.Answer:
                    rig.Sink.AnswerOne(pick);
                    break;
                case Step.Checkpoint:
                    await rig.Checkpoint();
                    break;
                case Step.Crash:
                    seen.AddRange(rig.Sink.Answered);
                    await rig.DisposeAsync();
                    rig = new Rig(store, mode);
                    crashes++;

                    // The slot was confirmed no further than durable progress: everything after it is streamed again.
                    next = changes.Count(c => c.Version <= store.Claims.Progress);
                    break;
            }

            await rig.Loaded();
        }

        if (next < changes.Length)
            rig.Take(changes[next..]);
        await rig.AnswerAll();
        await rig.Checkpoint();
        seen.AddRange(rig.Sink.Answered);
        await rig.DisposeAsync();

        foreach (var entity in changes.GroupBy(c => c.Entity.Key))
        {
            var versions = seen.Where(e => Key(e) == entity.Key).Select(e => e.Version).ToList();
            Assert.Equal(entity.Select(c => c.Version), versions.Distinct().Order());
            if (crashes == 0)
                Assert.Equal(entity.Select(c => c.Version), versions);
        }

        Assert.Equal(changes[^1].Version, store.Claims.Progress);
        if (mode == EntityMode.Row)
        {
            foreach (var entity in changes.GroupBy(c => c.Entity))
                Assert.Equal(entity.Last().Version, store.States[new StateKey(Sample.Orders.TableId, entity.Key.Key)].Version);
        }
    }

    private static string Encoding(Delivery delivery) => Key(delivery.Events[0]);

    private static string Key(SinkEvent made) => System.Text.Encoding.UTF8.GetString(made.Key!);

    private static RowChange Create(string key, long commit, long ordinal = 1) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit, ordinal), Sample.Row(key, commit.ToString(CultureInfo.InvariantCulture), null));

    private static RowChange Large(string key, long commit, string note) =>
        Sample.Change(ChangeOperation.Create, key, Sample.Version(commit), Sample.Row(key, "new", note));

    private static RowChange Touched(string key, long commit) =>
        Sample.Change(ChangeOperation.Update, key, Sample.Version(commit), Sample.Row(key, "touched", Sample.Unchanged));

    private static RowChange Update(string key, long commit) =>
        Sample.Change(ChangeOperation.Update, key, Sample.Version(commit), Sample.Row(key, "updated", null));

    private sealed class Rig : IAsyncDisposable
    {
        private readonly ConcurrentQueue<(Action<object> Turn, object State)> _turns = new();
        private readonly StateReader _states;
        private readonly Checkpointer _checkpointer;

        public Rig(Store store, EntityMode mode, long budget = long.MaxValue, EventOptions? events = null, string route = "*", long window = 32 << 20)
        {
            var source = new SourceConfiguration
            {
                Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [new TableSelection { Pattern = "*", Entities = mode }],
                Events = events ?? EventOptions.Default, Partitions = 1, WindowBytes = window,
            };
            var routes = new RouteTable(
                source, [new RouteConfiguration { From = route, To = ["sink"], Format = "test" }],
                new Dictionary<string, ISink> { ["sink"] = Sink }, [Format]);
            Budget = new EntityBudget(budget, 1);
            var figures = Figures = new SourceFigures("shop", TimeProvider.System, Budget, [Sink]);
            _states = new StateReader(store, figures, TimeProvider.System, NullLogger.Instance);
            _checkpointer = new Checkpointer(
                "shop", "silo", new ControlConfiguration { Connection = "", CheckpointInterval = TimeSpan.FromDays(1), CheckpointBytes = long.MaxValue },
                store, figures, new Reader(), TimeProvider.System, NullLogger.Instance);
            var runtime = new SourceRuntime(source, "db", routes, _states, _checkpointer, Budget, store, new Rows(), figures);
            Growth = runtime.Growth;
            Partition = new Partition(
                runtime, 0, store.Claim(), new HostedEntityDispatcher(), (turn, state) => _turns.Enqueue((turn, state))) { Epoch = 1 };
            _checkpointer.Register(Partition, () => { });
            Sink.AfterAnswer = RunTurns;
        }

        public Partition Partition { get; }

        public EntityBudget Budget { get; }

        public GrowthBudget Growth { get; }

        public SourceFigures Figures { get; }

        public Sink Sink { get; } = new();

        public Format Format { get; } = new();

        public void Take(params RowChange[] changes)
        {
            Partition.Take(changes);
            RunTurns();
        }

        public async Task AnswerAll()
        {
            var drained = Partition.Drain();
            while (!drained.IsCompleted)
            {
                await Loaded();
                Sink.Answer(_ => true);
            }
        }

        public Task Checkpoint() => _checkpointer.CommitNow(CancellationToken.None);

        /// <summary>Lets reads of states that are under way come in, and runs what follows from them.</summary>
        public async Task Loaded()
        {
            await Task.Yield();
            RunTurns();
        }

        public async ValueTask DisposeAsync()
        {
            await _checkpointer.DisposeAsync();
            await _states.DisposeAsync();
        }

        private void RunTurns()
        {
            while (_turns.TryDequeue(out var turn))
                turn.Turn(turn.State);
        }
    }

    private sealed class Sink : ISink
    {
        public List<Delivery> Open { get; } = [];

        public List<SinkEvent> Answered { get; } = [];

        public Func<SinkEvent, bool> Refuse { get; set; } = _ => false;

        public Action AfterAnswer { get; set; } = () => { };

        public string Name => "sink";

        public SinkStatus Status => new() { Name = Name, Type = "test", Healthy = true, Delivered = 0, Refused = 0, Waiting = 0 };

        public void Deliver(Delivery delivery)
        {
            Assert.NotEmpty(delivery.Events);
            Open.Add(delivery);
        }

        public void Answer(Func<Delivery, bool> which)
        {
            foreach (var delivery in Open.Where(which).ToArray())
                Answer(delivery);
        }

        public void AnswerOne(int pick)
        {
            if (Open.Count > 0)
                Answer(Open[pick % Open.Count]);
        }

        public ValueTask DisposeAsync() => default;

        private void Answer(Delivery delivery)
        {
            Open.Remove(delivery);
            foreach (var made in delivery.Events)
            {
                if (Refuse(made))
                    made.Refusal = "no";
                else
                    Answered.Add(made);
            }

            delivery.Complete();
            AfterAnswer();
        }
    }

    private sealed class Format : IEventFormat
    {
        public Func<ChangeVersion, bool> Breaks { get; set; } = _ => false;

        public List<string?[]> Befores { get; } = [];

        public string Name => "test";

        void IEventFormat.Format(in CompletedChange change, ICollection<SinkEvent> events)
        {
            if (Breaks(change.Change.Version))
                throw new InvalidDataException("broken");
            if (change.Before.IsPresent)
                Befores.Add(Sample.Values(change.Before));
            events.Add(new SinkEvent
            {
                Topic = change.Topic,
                Entity = change.Change.Entity,
                Key = System.Text.Encoding.UTF8.GetBytes(change.Change.Entity.Key),
                Value = [],
                Source = change.Source,
                Version = change.Change.Version,
                Origin = change.Origin,
                SchemaVersion = 1,
            });
        }
    }

    private sealed class Store : ICheckpointStore
    {
        public Dictionary<StateKey, EntityState> States { get; } = [];

        public (ChangeVersion Progress, ChangeVersion High) Claims { get; private set; }

        /// <summary>Takes progress back, as if checkpoints had gone on while one delivery stayed open.</summary>
        public void Forget() => Claims = (ChangeVersion.None, Claims.High);

        public PartitionClaim Claim() => new(1, Claims.Progress, Claims.High);

        public Task Commit(Checkpoint checkpoint, CancellationToken cancellation)
        {
            foreach (var partition in checkpoint.Partitions)
            {
                Claims = (partition.Progress, partition.High);
                foreach (var (key, state) in partition.States)
                    States[new StateKey(state.Table.TableId, key.Key)] = state;
            }

            return Task.CompletedTask;
        }

        public Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation) =>
            Task.FromResult(keys.Select(k => States.GetValueOrDefault(k)).ToArray());

        public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation)
        {
            foreach (var key in States.Where(s => s.Key.TableId == tableId && s.Value.Version <= version).Select(s => s.Key).ToList())
                States.Remove(key);
            return Task.CompletedTask;
        }

        public Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation) => Task.FromResult(1L);

        public Task FixPartitions(string source, int partitions, CancellationToken cancellation) => Task.CompletedTask;

        public Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation) => Task.FromResult(Claim());
    }

    private sealed class Reader : IWalReaderGrain
    {
        public ValueTask EnsureRunning() => default;

        public ValueTask ReportProgress(ProgressReport report) => default;

        public ValueTask<SourceStatus> GetStatus() => throw new NotSupportedException();
    }

    private sealed class Rows : IRowFormatter
    {
        public string ToJson(CdcOrleans.Model.Schemas.TableSchema table, RowImage row, ValueOptions values) => "{}";
    }
}
