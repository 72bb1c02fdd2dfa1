using CdcOrleans.Grains.Backfills;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>How a backfill is run: chunks in order, progress that is right at every moment, and what does not go as it should.</summary>
public sealed partial class BackfillRunnerTests
{
    private readonly MemoryBackfills _store = new();
    private readonly FakeReader _reader = new();
    private readonly FakeSource _source = new();
    private readonly FakeKeys _keys = new();

    [Fact]
    public async Task Chunks_are_merged_in_order_and_the_first_and_the_last_row_are_marked()
    {
        _reader.Tables["public.a"] = 25;
        _reader.Tables["public.b"] = 5;
        _reader.Tables["public.c"] = 1;
        var done = await Run(await Add(BackfillKind.Initial, "public.a", "public.b", "public.c"), parallel: 1);
        Assert.Equal(BackfillState.Done, done.State);
        Assert.Equal([25L, 5, 1], done.Tables.Select(t => t.RowsDone));
        Assert.Equal([25L, 5, 1], done.Tables.Select(t => t.Sent));
        Assert.All(done.Tables, t => Assert.True(t is { IsDone: true, IsRead: true, Error: null }));
        var rows = _source.Merged.OrderBy(s => s.At.Number).SelectMany(s => s.Rows.OrderBy(r => r.Entity.Key, StringComparer.Ordinal)).ToList();
        Assert.Equal(31, rows.Count);
        Assert.Equal(["public.a 00 First", "public.a 24 LastInTable", "public.b 00 FirstInTable", "public.b 04 LastInTable", "public.c 00 Last"],
            rows.Where(r => r.Mark != SnapshotMark.Row).Select(r => $"{r.Entity.Table} {r.Entity.Key} {r.Mark}"));
        Assert.All(_source.Merged, s => Assert.Equal((_reader.Horizon, 1L), (s.Horizon, s.Generation)));
        Assert.Equal(_source.Merged.Select(s => s.At.Number), _source.Merged.Select(s => s.Chunk.Number));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task As_many_tables_are_read_at_the_same_time_as_the_option_says(int parallel)
    {
        string[] tables = ["public.a", "public.b", "public.c", "public.d"];
        foreach (var table in tables)
            _reader.Tables[table] = 35;
        var reading = new HashSet<string>();
        var most = 0;
        var together = new TaskCompletionSource();
        _reader.Before = request =>
        {
            lock (reading)
            {
                var ended = _store.All[0].Tables.Where(t => t.IsDone).Select(t => t.Table);
                reading.ExceptWith(ended);
                reading.Add(request.Scope.FullName);
                most = Math.Max(most, reading.Count);
                if (reading.Count == parallel)
                    together.TrySetResult();
                return together.Task;
            }
        };
        var done = await Run(await Add(BackfillKind.Rows, tables), parallel: parallel);
        Assert.Equal((BackfillState.Done, parallel), (done.State, most));
        Assert.All(done.Tables, t => Assert.Equal((35L, 35L, true, null), (t.RowsDone, t.Sent, t.IsDone, t.Error)));
        Assert.Equal(_source.Merged.Select(s => (s.At, s.Chunk.Number)).Distinct().Count(), _source.Merged.Select(s => s.At).Distinct().Count());
    }

    // The first table is the slowest to begin, and the last one is the first to be read to its end.
    [Fact]
    public async Task The_first_row_is_merged_before_all_and_the_last_one_after_all_although_tables_are_read_at_the_same_time()
    {
        _reader.Tables["public.a"] = 25;
        _reader.Tables["public.b"] = 45;
        _reader.Tables["public.c"] = 15;
        var isLastRead = new TaskCompletionSource();
        _reader.Before = request =>
        {
            if (request.Scope.FullName == "public.c" && request.After is not null)
                isLastRead.TrySetResult();
            return null;
        };
        var hold = Task.Delay(200, TestContext.Current.CancellationToken);
        _source.Holds = slice => slice.Table.FullName == "public.c" ? null
            : slice.Table.FullName == "public.a" && slice.Rows.Any(r => r.Entity.Key == "00") ? hold
            : slice.Rows.Any(r => string.CompareOrdinal(r.Entity.Key, "10") >= 0) ? isLastRead.Task : null;
        var done = await Run(await Add(BackfillKind.Initial, "public.a", "public.b", "public.c"), parallel: 3);
        Assert.Equal([25L, 45, 15], done.Tables.Select(t => t.RowsDone));
        Assert.All(_source.Merged.TakeWhile(s => !Has(s, SnapshotMark.First)), s => Assert.Equal("public.a", s.Table.FullName));
        Assert.Equal("14", Assert.Single(_source.Merged[^1].Rows).Entity.Key);
        Assert.Equal(15, _source.Merged.SelectMany(s => s.Rows).Count(r => r.Entity.Table == "public.c"));
        Assert.Equal(
            ["public.a 00 First", "public.a 24 LastInTable", "public.b 00 FirstInTable", "public.b 44 LastInTable", "public.c 00 FirstInTable", "public.c 14 Last"],
            _source.Merged.SelectMany(s => s.Rows).Where(r => r.Mark != SnapshotMark.Row).Select(r => $"{r.Entity.Table} {r.Entity.Key} {r.Mark}").Order(StringComparer.Ordinal));

        static bool Has(ChunkSlice slice, SnapshotMark mark) => slice.Rows.Any(r => r.Mark == mark);
    }

    [Fact]
    public async Task Tables_that_are_read_at_the_same_time_stop_together_and_go_on_where_each_was()
    {
        string[] tables = ["public.a", "public.b"];
        foreach (var table in tables)
            _reader.Tables[table] = 95;
        var id = await Add(BackfillKind.Rows, tables);
        _source.Before = slice =>
        {
            if (slice.At.Number == 7)
                _store.Change(id, [BackfillState.Running], BackfillState.Paused, default).GetAwaiter().GetResult();
            return null;
        };
        var paused = await Run(id);
        Assert.Equal(BackfillState.Paused, paused.State);
        Assert.InRange(paused.Tables.Sum(t => t.RowsDone), 10, 150);
        _source.Before = _ => null;
        _source.Merged.Clear();
        Assert.True(await _store.Change(id, [BackfillState.Paused], BackfillState.Running, default));
        var done = await Run(id);
        Assert.Equal((BackfillState.Done, 95L, 95L), (done.State, done.Tables[0].RowsDone, done.Tables[1].RowsDone));
        foreach (var table in paused.Tables.Where(t => !t.IsDone))
            Assert.Equal(table.RowsDone.ToString("00", System.Globalization.CultureInfo.InvariantCulture), _source.Merged.SelectMany(s => s.Rows).Where(r => r.Entity.Table == table.Table).Min(r => r.Entity.Key));
    }

    [Fact]
    public async Task A_partition_that_moves_ends_the_leg_of_all_tables()
    {
        string[] tables = ["public.a", "public.b"];
        foreach (var table in tables)
            _reader.Tables[table] = 45;
        _reader.AnyHorizon = true;
        _source.Before = slice =>
        {
            if (slice.At.Number == 4)
                _source.CurrentGeneration = 2;
            return null;
        };
        var done = await Run(await Add(BackfillKind.Rows, tables));
        Assert.Equal((BackfillState.Done, 45L, 45L), (done.State, done.Tables[0].RowsDone, done.Tables[1].RowsDone));
        Assert.All(_source.Merged.Where(s => s.Generation == 2), s => Assert.True(s.Horizon.Xid > 1000));
        foreach (var table in tables)
            Assert.Equal(45, _source.Merged.SelectMany(s => s.Rows).Where(r => r.Entity.Table == table).Select(r => r.Entity.Key).Distinct().Count());
    }

    [Fact]
    public async Task Rows_wait_for_the_horizon_and_for_the_stream()
    {
        _reader.Tables["public.a"] = 3;
        _reader.UnsettledTimes = 2;
        _source.UnreachedTimes = 2;
        var id = await Add(BackfillKind.Rows, "public.a");
        var done = await Run(id);
        Assert.Equal(BackfillState.Done, done.State);
        Assert.Equal((0, 0), (_reader.UnsettledTimes, _source.UnreachedTimes));
        Assert.All(_source.Merged, s => Assert.All(s.Rows, r => Assert.Equal(SnapshotMark.Incremental, r.Mark)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Rows_of_a_replica_are_merged_when_the_stream_has_reached_their_fence(bool isReplica)
    {
        _reader.Tables["public.a"] = 25;
        _reader.IsReplica = isReplica;
        _reader.FenceAhead = 700;
        _source.Reached = 10_500;
        var id = await Add(BackfillKind.Rows, "public.a");
        var run = Run(id);
        if (isReplica)
        {
            // What is under way is known when the last chunk that may be under way was read.
            while (_source.Asked.All(a => a <= _reader.Horizon.Lsn))
                await Task.Delay(1, TestContext.Current.CancellationToken);
            Assert.Empty(_source.Merged);
        }

        _source.Reached = ulong.MaxValue;
        Assert.Equal(BackfillState.Done, (await run).State);
        Assert.Equal(25, _source.Merged.Sum(s => s.Rows.Length));
        Assert.Equal(isReplica ? 3 : 1, _source.Asked.Where(a => a > _reader.Horizon.Lsn).Distinct().Count());
    }

    [Fact]
    public async Task A_table_that_cannot_be_read_does_not_keep_the_others()
    {
        _reader.Tables["public.a"] = 15;
        _reader.Tables["public.c"] = 2;
        _reader.Fails = r => r.Scope.FullName == "public.a" && r.After is not null ? new CaptureException("The table public.a is gone.", transient: false) : null;
        var ended = await Run(await Add(BackfillKind.Rows, "public.a", "public.b", "public.c"));
        Assert.Equal(BackfillState.Failed, ended.State);
        Assert.StartsWith("2 of 3 table(s) could not be read to the end: public.a, public.b.", ended.Error, StringComparison.Ordinal);
        Assert.Equal(["The table public.a is gone.", "There is no table public.b.", null], ended.Tables.Select(t => t.Error));
        Assert.Equal(10, ended.Tables[0].RowsDone);
        Assert.Equal(2, ended.Tables[2].RowsDone);
    }

    [Fact]
    public async Task What_passes_is_tried_again()
    {
        _reader.Tables["public.a"] = 15;
        var times = 0;
        _reader.Fails = r => r.After is not null && times++ < 2 ? new CaptureException("The server restarts.", transient: true) : null;
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 15L, 3), (done.State, done.Tables[0].RowsDone, times));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task When_a_partition_moves_reading_goes_on_at_the_last_merged_chunk_behind_a_new_horizon(bool throws)
    {
        _reader.Tables["public.a"] = 45;
        _source.Before = slice =>
        {
            if (slice.At.Number != 3 || slice.Horizon.Xid != 1000)
                return null;
            _source.CurrentGeneration = 2;
            return throws ? throw new TimeoutException() : new ChunkAnswer { MustReadAgain = true };
        };
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 45L), (done.State, done.Tables[0].RowsDone));
        var later = _source.Merged.Where(s => s.Horizon.Xid > 1000).ToList();
        Assert.All(later, s => Assert.Equal(2, s.Generation));
        Assert.Equal("20", later.SelectMany(s => s.Rows).Min(r => r.Entity.Key));
    }

    [Theory]
    [InlineData(BackfillKind.Initial, false, true)]
    [InlineData(BackfillKind.Rows, false, true)]
    [InlineData(BackfillKind.Rows, true, false)]
    [InlineData(BackfillKind.Repair, false, false)]
    public async Task States_are_not_looked_up_for_the_first_rows_of_a_table_of_which_nothing_is_stored(BackfillKind kind, bool hasStored, bool isFirst)
    {
        _reader.Tables["public.a"] = 45;
        _store.HasStored = hasStored;
        _source.Incomplete.Add("03");
        _source.Before = slice =>
        {
            // The rows after it may have been merged before the partition moved.
            if (slice.At.Number == 3 && slice.Horizon.Xid == 1000)
                _source.CurrentGeneration = 2;
            return null;
        };
        await Run(await Add(kind, "public.a"));
        Assert.All(_source.Merged, s => Assert.Equal(isFirst && s.Horizon.Xid == 1000, s.HasNoStates));
        Assert.Contains(_source.Merged, s => s.Horizon.Xid == 1000);
        Assert.Contains(_source.Merged, s => s.Horizon.Xid > 1000);
        Assert.All(_source.Watched, w => Assert.Equal(("public.a", 1L), (w.Table, w.Backfill)));
    }

    [Fact]
    public async Task A_new_horizon_is_taken_long_before_transaction_ids_repeat()
    {
        _reader.Tables["public.a"] = 25;
        _reader.Elapsed = r => r.After == "09" && r.Horizon.Xid == 1000 ? (1UL << 30) + 1 : 0;
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 25L), (done.State, done.Tables[0].RowsDone));
        Assert.Contains(_source.Merged, s => s.Horizon.Xid > 1000);
    }

    [Fact]
    public async Task What_a_chunk_cannot_tell_is_read_by_its_key_behind_a_new_horizon()
    {
        _reader.Tables["public.a"] = 12;
        _source.Before = slice => slice.Horizon.Xid == 1000
            ? new ChunkAnswer { IsDone = true, Sent = slice.Rows.Count(r => r.Entity.Key != "07"), Again = [.. slice.Rows.Select(r => r.Entity.Key).Where(k => k == "07")] }
            : null;
        _source.Incomplete.Add("03");
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 12L, 13L), (done.State, done.Tables[0].RowsDone, done.Tables[0].Sent));
        Assert.Empty(done.Tables[0].Again);
        var later = _source.Merged.Where(s => s.Horizon.Xid > 1000).ToList();
        Assert.Equal(["07", "03"], later.OrderBy(s => s.At.Number).SelectMany(s => s.Rows).Select(r => r.Entity.Key));
    }

    [Fact]
    public async Task Asked_keys_are_read_alone_and_those_without_a_row_are_told()
    {
        _reader.Tables["public.a"] = 12;
        var done = await Run(await Add(BackfillKind.Rows, ["public.a"], ["02", "99", "05"]));
        Assert.Equal((BackfillState.Done, 3L), (done.State, done.Tables[0].RowsDone));
        var rows = _source.Merged.SelectMany(s => s.Rows).OrderBy(r => r.Entity.Key, StringComparer.Ordinal).ToList();
        Assert.Equal([("02", true), ("05", true), ("99", false)], rows.Select(r => (r.Entity.Key, r.Row.IsPresent)));
        Assert.Equal("99", Sample.Values(rows[2].KeyRow)[0]);
    }

    [Fact]
    public async Task A_repair_looks_for_the_rows_of_all_stored_keys_and_merges_only_those_that_are_gone()
    {
        _reader.Tables["public.a"] = 12;
        _keys.Held.AddRange(["02", "05", "77", "88"]);
        var done = await Run(await Add(BackfillKind.Repair, "public.a"));
        Assert.Equal((BackfillState.Done, 12L), (done.State, done.Tables[0].RowsDone));
        var rows = _source.Merged.SelectMany(s => s.Rows).ToList();
        Assert.Equal(["77", "88"], rows.Where(r => !r.Row.IsPresent).Select(r => r.Entity.Key).Order());
        Assert.Equal(12, rows.Count(r => r.Row.IsPresent));
    }

    [Fact]
    public async Task A_paused_backfill_stops_and_goes_on_where_it_was()
    {
        _reader.Tables["public.a"] = 95;
        var id = await Add(BackfillKind.Rows, "public.a");
        _source.Before = slice =>
        {
            if (slice.At.Number == 4)
                _store.Change(id, [BackfillState.Running], BackfillState.Paused, default).GetAwaiter().GetResult();
            return null;
        };
        var paused = await Run(id);
        Assert.Equal(BackfillState.Paused, paused.State);
        Assert.InRange(paused.Tables[0].RowsDone, 10, 60);
        _source.Before = _ => null;
        _source.Merged.Clear();
        Assert.True(await _store.Change(id, [BackfillState.Paused], BackfillState.Running, default));
        var done = await Run(id);
        Assert.Equal((BackfillState.Done, 95L), (done.State, done.Tables[0].RowsDone));
        Assert.Equal(paused.Tables[0].RowsDone.ToString("00", System.Globalization.CultureInfo.InvariantCulture), _source.Merged.SelectMany(s => s.Rows).Min(r => r.Entity.Key));
    }

    [Fact]
    public async Task Whoever_ran_it_before_stops()
    {
        _reader.Tables["public.a"] = 95;
        var id = await Add(BackfillKind.Rows, "public.a");
        var isFirst = true;
        _source.Before = _ =>
        {
            if (isFirst)
                _store.Begin(id, default).GetAwaiter().GetResult();
            isFirst = false;
            return null;
        };
        var stopped = await Run(id);
        Assert.Equal((BackfillState.Running, 2L, 0L), (stopped.State, stopped.Run, stopped.Tables[0].RowsDone));
    }

    [Fact]
    public async Task A_problem_of_a_partition_ends_the_table_with_its_reason()
    {
        _reader.Tables["public.a"] = 5;
        _source.Before = _ => new ChunkAnswer { Problem = "The rows cannot be merged." };
        var ended = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Failed, "The rows cannot be merged."), (ended.State, ended.Tables[0].Error));
    }

    [Fact]
    public async Task Two_backfills_of_a_source_read_at_the_same_time_and_the_next_one_says_for_which_it_waits()
    {
        _reader.Tables["public.c"] = 15;
        var (first, second) = (await Add(BackfillKind.Rows, "public.a"), await Add(BackfillKind.Rows, "public.b"));
        await Add(BackfillKind.Rows, ["public.k"], ["1"]);
        await _store.Add(New("other", BackfillKind.Rows, ["public.o"], null), default);
        var third = await Add(BackfillKind.Repair, "public.c");
        var run = Run(third);
        while ((await _store.Get(third, default))!.Waiting is null)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.Equal(
            $"At most 2 backfills of source 'shop' read at the same time. This one waits for {first} and {second}, which were started before.", (await _store.Get(third, default))!.Waiting);
        Assert.Empty(_source.Merged);
        Assert.True(await _store.Change(first, [BackfillState.Running], BackfillState.Paused, default));
        var done = await run;
        Assert.Equal((BackfillState.Done, 15L, null), (done.State, done.Tables[0].RowsDone, done.Waiting));
    }

    [Fact]
    public async Task One_that_goes_on_takes_the_turn_of_those_that_were_started_after_it()
    {
        _reader.Tables["public.c"] = 95;
        var (first, second) = (await Add(BackfillKind.Rows, "public.a"), await Add(BackfillKind.Rows, "public.b"));
        await _store.Change(first, [BackfillState.Running], BackfillState.Paused, default);
        var third = await Add(BackfillKind.Rows, "public.c");
        var clock = new FastClock();
        _source.Before = slice =>
        {
            if (slice.At.Number == 3)
                _store.Change(first, [BackfillState.Paused], BackfillState.Running, default).GetAwaiter().GetResult();
            clock.Pass(TimeSpan.FromSeconds(2));
            return null;
        };
        var run = Run(third, clock);
        while ((await _store.Get(third, default))!.Waiting is null)
            await Task.Delay(10, TestContext.Current.CancellationToken);

        // What it had read before is merged and counted.
        var waiting = (await _store.Get(third, default))!.Tables[0];
        Assert.InRange(waiting.RowsDone, 30, 60);
        Assert.Equal(waiting.RowsDone, _source.Merged.Sum(s => s.Rows.Length));
        await _store.Change(second, [BackfillState.Running], BackfillState.Cancelled, default);
        Assert.Equal((BackfillState.Done, 95L), ((await run).State, (await run).Tables[0].RowsDone));
    }

    [Fact]
    public async Task Single_keys_do_not_wait_for_other_backfills()
    {
        _reader.Tables["public.c"] = 12;
        await Add(BackfillKind.Rows, "public.a");
        await Add(BackfillKind.Rows, "public.b");
        var done = await Run(await Add(BackfillKind.Rows, ["public.c"], ["02"]));
        Assert.Equal((BackfillState.Done, 1L), (done.State, done.Tables[0].RowsDone));
    }

    [Fact]
    public async Task Rows_for_which_a_partition_has_no_memory_are_sent_when_it_asks_for_them_and_no_more_are_read_meanwhile()
    {
        _reader.Tables["public.a"] = 95;
        var asked = 0;
        var reads = 0;
        var sent = 0;
        _source.Before = slice =>
        {
            if (slice.At.Number != 2 || slice.Rows.Length > 0 && sent++ > 0)
                return null;
            if (slice.HasRows)
                return new ChunkAnswer { IsWaitingForRoom = true };
            reads = Math.Max(reads, _reader.Reads);
            return ++asked < 20 ? new ChunkAnswer { IsWaitingForRoom = true } : new ChunkAnswer { WantsRows = true };
        };
        _source.Holds = slice => slice.HasRows ? null : Task.Delay(5, TestContext.Current.CancellationToken);
        _source.OnePartition = true;
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 95L, 95L, 20, 2), (done.State, done.Tables[0].RowsDone, done.Tables[0].Sent, asked, reads));
    }

    [Fact]
    public async Task A_chunk_has_the_time_of_the_option()
    {
        _reader.Tables["public.a"] = 5;
        await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((TimeSpan.FromMilliseconds(70), 10_000), (_reader.Bounds!.Time, _reader.Bounds.Rows));
    }

    private Task<long> Add(BackfillKind kind, params string[] tables) => Add(kind, tables, null);

    private async Task<long> Add(BackfillKind kind, string[] tables, string[]? keys) => (await _store.Add(New("shop", kind, tables, keys), default)).Backfill.Id;

    private static StoredBackfill New(string source, BackfillKind kind, string[] tables, string[]? keys) => new()
    {
        Source = source, Kind = kind, Patterns = tables, Rate = 0, Who = "test",
        Tables = [.. tables.Select((t, i) => new BackfillTable { Place = i, Table = t, Keys = keys })],
    };

    private async Task<StoredBackfill> Run(long id, TimeProvider? time = null, int parallel = 2, int mostOfRow = int.MaxValue)
    {
        var runner = new BackfillRunner(_store, _keys, _reader, _source, new BackfillOptions { ChunkTime = TimeSpan.FromMilliseconds(70), Parallel = parallel }, time ?? TimeProvider.System, NullLogger.Instance)
        {
            MostOfRow = mostOfRow,
        };
        await runner.Run(id, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return (await _store.Get(id, default))!;
    }
}
