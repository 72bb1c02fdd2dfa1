using CdcOrleans.Grains.Backfills;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>How backfills are started: what the source is asked, what is stored, and what is refused.</summary>
public sealed class BackfillStartTests
{
    private readonly MemoryBackfills _store = new();
    private readonly FakeSource _source = new("public.a", "public.b", "public.log", "public.seen", "public.keyless", "public.inserts");
    private readonly List<string> _log = [];
    private readonly List<TableSelection> _tables =
    [
        new() { Pattern = "public.log", Entities = EntityMode.Off }, new() { Pattern = "public.seen", Entities = EntityMode.Version }, new() { Pattern = "public.*" },
    ];

    private BackfillOptions _option = BackfillOptions.Never;

    [Fact]
    public async Task A_backfill_has_the_tables_in_order_with_what_the_source_says_of_them()
    {
        var (backfill, _, detail) = await Start(new("shop", BackfillKind.Rows, ["public.b", "public.a"]) { Where = "n > 1", Rate = 7 });
        Assert.Null(detail);
        Assert.Equal(
            (1, BackfillKind.Rows, BackfillState.Running, 7, "me"), (backfill!.Id, backfill.Kind, backfill.State, backfill.Rate, backfill.Who));
        Assert.Equal(["public.b", "public.a"], backfill.Patterns);
        Assert.Equal(
            [(0, "public.a", 101u, "n > 1", 10L), (1, "public.b", 102u, "n > 1", 20L)],
            backfill.Tables.Select(t => (t.Place, t.Table, t.Relation, t.Where, t.RowsTotal)));
        Assert.Equal(new BackfillScope("public", "a") { Where = "n > 1" }, _source.Asked.Order(ByName).First());
        Assert.Equal(0, _source.Open);
    }

    [Fact]
    public async Task Keys_are_of_one_table_and_each_once()
    {
        var (backfill, _, _) = await Start(new("shop", BackfillKind.Rows, ["public.a"]) { Keys = ["1", "2", "1"] });
        Assert.Equal(["1", "2"], backfill!.Tables[0].Keys!);
        Assert.Equal(2, backfill.Tables[0].RowsTotal);
    }

    [Theory]
    [InlineData(BackfillKind.Rows, "public.a,public.b,public.seen")]
    [InlineData(BackfillKind.Repair, "public.a,public.b")]
    [InlineData(BackfillKind.Verify, "public.a,public.b")]
    public async Task A_pattern_selects_those_tables_that_are_possible(BackfillKind kind, string expected)
    {
        var (backfill, _, _) = await Start(new("shop", kind, ["public.*"]));
        Assert.Equal(expected, string.Join(',', backfill!.Tables.Select(t => t.Table)));
    }

    [Theory]
    [InlineData("public.none", BackfillRefusal.UnknownTable, "table public.none does not exist.")]
    [InlineData("public.x*", BackfillRefusal.UnknownTable, "No captured table of source 'shop' matches 'public.x*'. Write it as schema.table; there are 'public.a', 'public.b'")]
    [InlineData("other.a", BackfillRefusal.UnknownTable, "No captured table of source 'shop' matches 'other.a'.")]
    [InlineData("a", BackfillRefusal.UnknownTable, "No captured table of source 'shop' matches 'a'.")]
    [InlineData("public.log", BackfillRefusal.NotPossible, "Rows of shop.public.log cannot be read beside the stream, because its option is 'entities: off'")]
    [InlineData("public.log*", BackfillRefusal.NotPossible, "'entities: off'")]
    [InlineData("public.keyless", BackfillRefusal.NotPossible, "shop.public.keyless has no key, so its rows cannot be told apart. Add a primary key.")]
    [InlineData("public.inserts", BackfillRefusal.NotPossible, "Nothing identifies rows of shop.public.inserts in the log")]
    public async Task Tables_that_cannot_be_read_are_refused(string pattern, BackfillRefusal refusal, string expected)
    {
        await Refused(new("shop", BackfillKind.Rows, [pattern]), refusal, expected);

        // Beside one that is possible, too, if it is named.
        if (pattern != "public.log*")
            await Refused(new("shop", BackfillKind.Rows, ["public.a", pattern]), refusal, expected);
    }

    [Theory]
    [InlineData(BackfillKind.Repair)]
    [InlineData(BackfillKind.Verify)]
    public Task Rows_that_are_not_stored_cannot_be_compared(BackfillKind kind) => Refused(
        new("shop", kind, ["public.seen"]), BackfillRefusal.NotPossible, "Rows of shop.public.seen cannot be compared, because its option is 'entities: version'");

    [Fact]
    public async Task Keys_that_no_row_can_have_are_refused()
    {
        await Refused(new("shop", BackfillKind.Rows, ["public.a", "public.b"]) { Keys = ["1"] }, BackfillRefusal.NotPossible, "'keys' is given with several tables.");
        await Refused(new("shop", BackfillKind.Rows, ["public.*"]) { Keys = ["1"] }, BackfillRefusal.NotPossible, "'keys' is given with several tables.");
        await Refused(new("shop", BackfillKind.Rows, ["public.a"]) { Keys = ["1"], Where = "true" }, BackfillRefusal.NotPossible, "'keys' and 'where' are given both.");
        await Refused(new("shop", BackfillKind.Rows, ["public.a"]) { Keys = [] }, BackfillRefusal.NotPossible, "0 keys are given; from 1 to 1000 are possible.");
        await Refused(
            new("shop", BackfillKind.Rows, ["public.a"]) { Keys = [.. Enumerable.Range(1, 1001).Select(i => $"{i}")] }, BackfillRefusal.NotPossible, "1001 keys are given");
        await Refused(new("shop", BackfillKind.Rows, ["public.a"]) { Keys = ["1", "1,2"] }, BackfillRefusal.NotPossible, "A key of shop.public.a has 1 value(s), separated by commas: id.");
        _source.Order = ChunkOrder.Place;
        await Refused(new("shop", BackfillKind.Rows, ["public.a"]) { Keys = ["1"] }, BackfillRefusal.NotPossible, "No index of shop.public.a has the columns of its key");
        Assert.Null((await Start(new("shop", BackfillKind.Rows, ["public.a"]))).Detail);
    }

    [Fact]
    public async Task What_the_source_says_is_the_answer()
    {
        // Also for a table that was only matched: whoever asked should know it.
        _source.Problems["public.b"] = new CaptureException("the filter of public.b is not a condition", transient: false);
        await Refused(new("shop", BackfillKind.Rows, ["public.*"]) { Where = "nonsense" }, BackfillRefusal.NotPossible, "the filter of public.b is not a condition");
        _source.Problems["public.b"] = new CaptureException("public.b is locked", transient: true);
        await Refused(new("shop", BackfillKind.Rows, ["public.b"]), BackfillRefusal.SourceUnavailable, "public.b is locked");
        _source.Trouble = new CaptureException("no server answers", transient: true);
        await Refused(new("shop", BackfillKind.Rows, ["public.a"]), BackfillRefusal.SourceUnavailable, "no server answers");
        await Refused(new("gone", BackfillKind.Rows, ["public.a"]), BackfillRefusal.UnknownTable, "Source 'gone' is not configured");
    }

    [Fact]
    public async Task A_table_has_one_open_backfill()
    {
        await Start(new("shop", BackfillKind.Rows, ["public.a"]));
        await Refused(
            new("shop", BackfillKind.Repair, ["public.*"]), BackfillRefusal.Conflict,
            "Backfill 1 of shop.public.a is running. Wait until it is done, or cancel it (POST /api/v1/backfills/1/cancel).");
        await _store.Change(1, [BackfillState.Running], BackfillState.Cancelled, default);
        Assert.Null((await Start(new("shop", BackfillKind.Repair, ["public.*"]))).Detail);
    }

    [Fact]
    public async Task Nothing_is_read_that_the_configuration_does_not_want()
    {
        Assert.Empty(await Initial());
        Assert.Empty(_source.Asked);
        _option = new BackfillOptions { Mode = BackfillMode.Initial };
        Assert.Empty((await Starts().StartInitial("gone", ["public.a"], default)).Started);
        Assert.Empty((await Starts().StartInitial("shop", ["other.a"], default)).Started);
    }

    [Theory]
    [InlineData(BackfillMode.Initial)]
    [InlineData(BackfillMode.WhenNeeded)]
    public async Task The_first_backfill_of_each_table_is_started_once(BackfillMode mode)
    {
        _option = new BackfillOptions { Mode = mode, Rate = 9 };
        var starts = Starts();
        var backfill = Assert.Single((await starts.StartInitial("shop", ["public.b", "public.a"], default)).Started);
        Assert.Equal(
            (BackfillKind.Initial, BackfillStarts.Configuration, 9, "public.a,public.b"),
            (backfill.Kind, backfill.Who, backfill.Rate, string.Join(',', backfill.Tables.Select(t => t.Table))));
        Assert.Equal(["public.a", "public.b"], backfill.Patterns);

        // A new table gets its own, those that had theirs do not get another one; also when theirs has ended.
        await _store.Change(1, [BackfillState.Running], BackfillState.Cancelled, default);
        backfill = Assert.Single((await starts.StartInitial("shop", ["public.a", "public.b", "public.seen"], default)).Started);
        Assert.Equal("public.seen", Assert.Single(backfill.Tables).Table);
        Assert.Empty((await starts.StartInitial("shop", ["public.a", "public.b", "public.seen"], default)).Started);
    }

    [Fact]
    public async Task Each_table_has_its_condition_its_columns_and_its_rate()
    {
        _option = new BackfillOptions { Mode = BackfillMode.Initial };
        _tables.Insert(0, new() { Pattern = "public.b", Backfill = new() { Mode = BackfillMode.Initial, Where = "n > 1", Columns = ["n"], Rate = 5 } });
        _tables.Insert(0, new() { Pattern = "public.seen", Backfill = BackfillOptions.Never });
        var started = (await Starts().StartInitial("shop", ["public.a", "public.b", "public.seen", "public.c"], default)).Started;
        Assert.Equal(
            [(0, "public.a", null, 10L, null), (0, "public.c", null, 30L, null), (5, "public.b", "n > 1", 20L, "n")],
            started.SelectMany(b => b.Tables.Select(t => (b.Rate, t.Table, t.Where, t.RowsTotal, t.Columns is null ? null : string.Join(',', t.Columns)))));
    }

    [Fact]
    public async Task Tables_that_cannot_be_read_are_left_out_and_named_once()
    {
        _option = new BackfillOptions { Mode = BackfillMode.Initial };
        _source.Problems["public.b"] = new CaptureException("has no column 'm'", transient: false);
        var starts = Starts();
        string[] tables = ["public.a", "public.b", "public.log", "public.keyless", "public.inserts"];
        for (var i = 0; i < 3; i++)
            await starts.StartInitial("shop", tables, default);
        Assert.Equal("public.a", Assert.Single(Assert.Single(_store.All).Tables).Table);
        Assert.Equal(["public.b", "public.inserts", "public.keyless", "public.log"], _log.Where(l => l.StartsWith("Warning", StringComparison.Ordinal)).Select(l => l.Split(' ')[6]));
        Assert.Contains(_log, l => l.Contains("'entities: off'", StringComparison.Ordinal));

        // Another reason is news, and when it is mended the rows are read.
        _source.Problems["public.b"] = new CaptureException("cannot be read by the role", transient: false);
        await starts.StartInitial("shop", tables, default);
        Assert.Contains(_log, l => l.Contains("cannot be read by the role", StringComparison.Ordinal));
        _source.Problems.Clear();
        Assert.Equal("public.b", Assert.Single(Assert.Single((await starts.StartInitial("shop", tables, default)).Started).Tables).Table);
    }

    [Fact]
    public async Task A_source_that_does_not_answer_for_a_table_is_to_be_asked_again()
    {
        _option = new BackfillOptions { Mode = BackfillMode.Initial };
        _source.Problems["public.b"] = new CaptureException("public.b is locked", transient: true);
        var starts = Starts();
        var (started, trouble) = await starts.StartInitial("shop", ["public.a", "public.b"], default);
        Assert.Equal(("public.a", "public.b is locked"), (Assert.Single(Assert.Single(started).Tables).Table, trouble!.Message));
        _source.Problems.Clear();
        (started, trouble) = await starts.StartInitial("shop", ["public.a", "public.b"], default);
        Assert.Equal(("public.b", null), (Assert.Single(Assert.Single(started).Tables).Table, trouble));
    }

    [Fact]
    public async Task A_table_that_is_read_by_another_backfill_gets_its_first_one_later()
    {
        await Start(new("shop", BackfillKind.Rows, ["public.a"]));
        _option = new BackfillOptions { Mode = BackfillMode.Initial };
        Assert.Equal("public.b", Assert.Single(Assert.Single(await Initial("public.a", "public.b")).Tables).Table);
        Assert.Empty(await Initial("public.a"));
        await _store.Change(1, [BackfillState.Running], BackfillState.Cancelled, default);
        Assert.Equal("public.a", Assert.Single(Assert.Single(await Initial("public.a", "public.b")).Tables).Table);
    }

    private static readonly Comparer<BackfillScope> ByName = Comparer<BackfillScope>.Create((x, y) => string.CompareOrdinal(x.FullName, y.FullName));

    private async Task<IReadOnlyList<StoredBackfill>> Initial(params string[] tables) => (await Starts().StartInitial("shop", tables, default)).Started;

    private Task<(StoredBackfill? Backfill, BackfillRefusal Refusal, string? Detail)> Start(BackfillOrder order) => Starts().Start(order, "me", default);

    private async Task Refused(BackfillOrder order, BackfillRefusal refusal, string expected)
    {
        var before = _store.All.Count;
        var (backfill, why, detail) = await Start(order);
        Assert.Equal((null, refusal), (backfill, why));
        Assert.Contains(expected, detail, StringComparison.Ordinal);
        Assert.Equal(before, _store.All.Count);
    }

    private BackfillStarts Starts() => new(
        new PipelineConfiguration
        {
            Cluster = new ClusterConfiguration { Id = "test" }, Control = new ControlConfiguration { Connection = "" },
            Sources = new Dictionary<string, SourceConfiguration>
            {
                ["shop"] = new() { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = _tables, Backfill = _option },
            },
            Sinks = new Dictionary<string, SinkConfiguration>(), Routes = [], Gateway = new GatewayConfiguration(),
        },
        _store, _source, _source, new ListLogger(_log));

    private sealed class ListLogger(List<string> log) : ILogger<BackfillStarts>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Add($"{logLevel} {formatter(state, exception)}");
    }

    /// <summary>A source whose tables have the OIDs 101, 102, … by their first letter, and 10, 20, … rows.</summary>
    private sealed class FakeSource(params string[] tables) : IChunkReaderFactory, ICapturedTables
    {
        public List<BackfillScope> Asked { get; } = [];

        public Dictionary<string, CaptureException> Problems { get; } = [];

        public CaptureException? Trouble { get; set; }

        public ChunkOrder Order { get; set; } = ChunkOrder.Key;

        /// <summary>Readers that are not disposed.</summary>
        public int Open { get; private set; }

        public IChunkReader Create(SourceConfiguration source)
        {
            Open++;
            return new Reader(this);
        }

        public Task<IReadOnlyList<string>> List(SourceConfiguration source, CancellationToken cancellation) =>
            Trouble is null ? Task.FromResult<IReadOnlyList<string>>(tables) : Task.FromException<IReadOnlyList<string>>(Trouble);

        private sealed class Reader(FakeSource source) : IChunkReader
        {
            public async Task<BackfillPlan> Plan(BackfillScope scope, CancellationToken cancellation)
            {
                await Task.Yield();
                lock (source.Asked)
                    source.Asked.Add(scope);
                if (source.Problems.TryGetValue(scope.FullName, out var problem))
                    throw problem;
                if (scope.Table == "none")
                    throw new CaptureException("table public.none does not exist.", transient: false);
                var number = scope.Table[0] - 'a' + 1;
                return new BackfillPlan(
                    new TableSchema
                    {
                        TableId = number, Version = 1, Schema = scope.Schema, Name = scope.Table, RelationOid = 100 + (uint)number,
                        Columns = Sample.Orders.Columns, Key = scope.Table is "keyless" ? [] : [0], InsertsOnly = scope.Table == "inserts",
                    },
                    source.Order, 10 * number);
            }

            public Task<BackfillHorizon> TakeHorizon(CancellationToken cancellation) => throw new NotSupportedException();

            public Task<string?> Unsettled(BackfillHorizon horizon, CancellationToken cancellation) => throw new NotSupportedException();

            public Task<TableChunk> Read(ChunkRequest request, CancellationToken cancellation) => throw new NotSupportedException();

            public ValueTask DisposeAsync()
            {
                source.Open--;
                return ValueTask.CompletedTask;
            }
        }
    }
}
