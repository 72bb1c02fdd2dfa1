using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <content>Tables that are altered or forgotten while they are read, rows that are too large, and a control database that refuses.</content>
public sealed partial class BackfillRunnerTests
{
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
        _reader.AnyHorizon = true;
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
}
