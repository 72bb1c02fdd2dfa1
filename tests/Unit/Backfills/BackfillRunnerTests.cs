using CdcOrleans.Grains.Backfills;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
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
        var done = await Run(await Add(BackfillKind.Initial, "public.a", "public.b", "public.c"));
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

    [Fact]
    public async Task When_the_last_tables_have_no_rows_the_last_row_before_them_is_the_last()
    {
        _reader.Tables["public.a"] = 12;
        _reader.Tables["public.b"] = 3;
        _reader.Tables["public.c"] = 0;
        var done = await Run(await Add(BackfillKind.Initial, "public.a", "public.b", "public.c", "public.gone"));
        Assert.Equal("There is no table public.gone.", done.Tables[3].Error);
        var rows = _source.Merged.OrderBy(s => s.At.Number).SelectMany(s => s.Rows.OrderBy(r => r.Entity.Key, StringComparer.Ordinal));
        Assert.Equal(["public.a 00 First", "public.a 11 LastInTable", "public.b 00 FirstInTable", "public.b 02 Last"],
            rows.Where(r => r.Mark != SnapshotMark.Row).Select(r => $"{r.Entity.Table} {r.Entity.Key} {r.Mark}"));
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
    public async Task A_table_that_was_altered_is_read_from_its_start_again_behind_a_new_horizon()
    {
        _reader.Tables["public.a"] = 35;
        _reader.Altered = r => r.After is not null && r.Horizon.Xid == 1000 && string.CompareOrdinal(r.After, "09") > 0 ? "its key was altered" : null;
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 35L, 55L), (done.State, done.Tables[0].RowsDone, done.Tables[0].Sent));
        Assert.Equal(35, _source.Merged.Where(s => s.Horizon.Xid > 1000).Sum(s => s.Rows.Length));
        Assert.Contains("Table public.a is read from its start again: its key was altered.", _store.Waited);
        Assert.Null(done.Waiting);
    }

    [Fact]
    public async Task A_table_that_is_altered_again_and_again_is_given_up()
    {
        _reader.Tables["public.a"] = 15;
        _reader.Tables["public.b"] = 2;
        _reader.Altered = r => r.After is not null ? "it was truncated" : null;
        var ended = await Run(await Add(BackfillKind.Rows, "public.a", "public.b"));
        Assert.Equal((BackfillState.Failed, 2L), (ended.State, ended.Tables[1].RowsDone));
        Assert.StartsWith("Table public.a was begun 10 times", ended.Tables[0].Error, StringComparison.Ordinal);
        Assert.Contains("it was truncated", ended.Tables[0].Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BackfillKind.Rows, false)]
    [InlineData(BackfillKind.Rows, true)]
    [InlineData(BackfillKind.Repair, true)]
    public async Task A_table_whose_rows_were_forgotten_is_read_from_its_start_again(BackfillKind kind, bool isLate)
    {
        _reader.Tables["public.a"] = 35;
        _keys.Held.AddRange(["02", "77"]);
        var times = 0;
        _source.Before = slice =>
        {
            // Late: with the last chunk, so that nothing is merged afterwards.
            if (slice.Rows.Any(r => r.Entity.Key == (isLate ? "34" : "14")) && times++ == 0)
                _source.IsForgotten = true;
            return isLate && _source.IsForgotten ? new ChunkAnswer { IsDone = true, Sent = slice.Rows.Length } : null;
        };
        var done = await Run(await Add(kind, "public.a"));
        Assert.Equal((BackfillState.Done, 35L), (done.State, done.Tables[0].RowsDone));
        Assert.Equal(2, times);
        Assert.Equal(35, _source.Merged.Where(s => s.Horizon.Xid > 1000).SelectMany(s => s.Rows).Select(r => r.Entity.Key).Distinct().Count(k => k != "77"));
        Assert.Equal((TableWatch.Begin, TableWatch.End), (_source.Watches[0], _source.Watches[^1]));
        Assert.Contains(TableWatch.Begin, _source.Watches.Skip(_source.Watches.IndexOf(TableWatch.GoOn) + 1));
    }

    [Fact]
    public async Task Asked_keys_are_read_again_when_their_rows_were_forgotten()
    {
        _reader.Tables["public.a"] = 12;
        _source.Before = slice =>
        {
            _source.IsForgotten |= slice.Horizon.Xid == 1000;
            return null;
        };
        var done = await Run(await Add(BackfillKind.Rows, ["public.a"], ["02", "05"]));
        Assert.Equal((BackfillState.Done, 2L, 2L), (done.State, done.Tables[0].RowsDone, done.Tables[0].Sent));
    }

    [Fact]
    public async Task A_row_that_fits_into_no_message_ends_its_table_and_what_was_read_before_counts()
    {
        _reader.Tables["public.a"] = 35;
        _reader.Tables["public.b"] = 2;
        _reader.Note = key => key == "21" ? new string('x', 5000) : null;
        var ended = await Run(await Add(BackfillKind.Rows, "public.a", "public.b"), mostOfRow: 4000);
        Assert.Equal((BackfillState.Failed, 20L, 2L), (ended.State, ended.Tables[0].RowsDone, ended.Tables[1].RowsDone));
        Assert.StartsWith("A row of public.a is of 50", ended.Tables[0].Error, StringComparison.Ordinal);
        Assert.Contains("Lower large_values.limit", ended.Tables[0].Error, StringComparison.Ordinal);
        Assert.Equal(TableWatch.End, _source.Watches[^1]);
    }

    [Fact]
    public async Task While_chunks_cannot_be_stored_the_backfill_says_why_and_waits()
    {
        _reader.Tables["public.a"] = 25;
        _store.RefusedChunks = 1;
        var done = await Run(await Add(BackfillKind.Rows, "public.a"));
        Assert.Equal((BackfillState.Done, 25L), (done.State, done.Tables[0].RowsDone));
        Assert.Contains("The control database does not store the progress of the backfill: The disk is full.", _store.Waited);
        Assert.Null(_store.Waited[^1]);
    }

    [Fact]
    public async Task A_backfill_that_waits_for_the_control_database_can_be_cancelled()
    {
        _reader.Tables["public.a"] = 25;
        _store.RefusedChunks = int.MaxValue;
        var id = await Add(BackfillKind.Rows, "public.a");
        _reader.Fails = _ =>
        {
            _store.Change(id, [BackfillState.Running], BackfillState.Cancelled, default).GetAwaiter().GetResult();
            return null;
        };
        Assert.Equal(BackfillState.Cancelled, (await Run(id)).State);
    }

    private Task<long> Add(BackfillKind kind, params string[] tables) => Add(kind, tables, null);

    private async Task<long> Add(BackfillKind kind, string[] tables, string[]? keys) => (await _store.Add(
        new StoredBackfill
        {
            Source = "shop", Kind = kind, Patterns = tables, Rate = 0, Who = "test",
            Tables = [.. tables.Select((t, i) => new BackfillTable { Place = i, Table = t, Keys = keys })],
        },
        default)).Backfill.Id;

    private async Task<StoredBackfill> Run(long id, int mostOfRow = int.MaxValue)
    {
        var runner = new BackfillRunner(_store, _keys, _reader, _source, TimeProvider.System, NullLogger.Instance) { MostOfRow = mostOfRow };
        await runner.Run(id, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return (await _store.Get(id, default))!;
    }
}
