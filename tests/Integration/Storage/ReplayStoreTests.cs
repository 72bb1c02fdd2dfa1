using CdcOrleans.Model.Storage;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Replays in the control database: one of a table and sink at a time, whose progress only its newest runner writes.</summary>
public sealed class ReplayStoreTests(ControlServer control)
{
    [Fact]
    public async Task Of_two_replays_of_a_table_to_a_sink_at_once_one_is_stored()
    {
        await using var stores = await control.Migrated();
        var added = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => stores.Replays.Add(Replay("events", "public.a", "public.b"), default)));
        Assert.Single(added, a => a.IsNew);
        Assert.Single(added.Select(a => a.Replay.Id).Distinct());
        Assert.False((await stores.Replays.Add(Replay("events", "public.b"), default)).IsNew);
        Assert.True((await stores.Replays.Add(Replay("files", "public.b"), default)).IsNew);
        var id = added[0].Replay.Id;
        Assert.True(await stores.Replays.Change(id, [ReplayState.Running], ReplayState.Paused, default));
        Assert.False((await stores.Replays.Add(Replay("events", "public.a"), default)).IsNew);
        Assert.False(await stores.Replays.Change(id, [ReplayState.Running], ReplayState.Cancelled, default));
        Assert.True(await stores.Replays.Change(id, [ReplayState.Paused], ReplayState.Cancelled, default));
        Assert.NotNull((await stores.Replays.Get(id, default))!.EndedAt);
        Assert.True((await stores.Replays.Add(Replay("events", "public.a"), default)).IsNew);
        var newest = await stores.Replays.List(0, 2, default);
        Assert.Equal(2, newest.Count);
        Assert.True(newest[0].Id > newest[1].Id);
        Assert.Equal(id, Assert.Single(await stores.Replays.List(newest[1].Id, 10, default), r => r.State == ReplayState.Cancelled).Id);
    }

    [Fact]
    public async Task Only_the_newest_runner_writes_the_progress()
    {
        await using var stores = await control.Migrated();
        var id = (await stores.Replays.Add(Replay("events", "public.a"), default)).Replay.Id;
        Assert.Equal([id], await stores.Replays.Running(default));
        var first = (await stores.Replays.Begin(id, default))!;
        var table = first.Tables[0] with { IsBegun = true, After = "k", RowsDone = 5, Sent = 1, Absent = 2, WithoutRow = 3, Parked = 4, Refused = 6 };
        Assert.Equal(ReplayState.Running, await stores.Replays.Save(first, table, "a sink", 12.5, default));
        var stored = (await stores.Replays.Get(id, default))!;
        Assert.Equal((table, "a sink", 12.5), (stored.Tables[0], stored.Waiting, stored.Speed));
        var second = (await stores.Replays.Begin(id, default))!;
        Assert.Null(await stores.Replays.Save(first, table with { After = "z" }, null, 0, default));
        await stores.Replays.End(first, "broken", default);
        stored = (await stores.Replays.Get(id, default))!;
        Assert.Equal(("k", ReplayState.Running, null), (stored.Tables[0].After, stored.State, stored.Error));
        Assert.True(await stores.Replays.Change(id, [ReplayState.Running], ReplayState.Paused, default));
        Assert.Null(await stores.Replays.Begin(id, default));
        Assert.Empty(await stores.Replays.Running(default));
        Assert.Equal(ReplayState.Paused, await stores.Replays.Save(second, table with { After = "l" }, "x", 1, default));
        Assert.True(await stores.Replays.Change(id, [ReplayState.Paused], ReplayState.Running, default));
        await stores.Replays.End((await stores.Replays.Begin(id, default))!, "broken", default);
        stored = (await stores.Replays.Get(id, default))!;
        Assert.Equal((ReplayState.Failed, "broken", "l"), (stored.State, stored.Error, stored.Tables[0].After));
    }

    [Fact]
    public async Task Keys_are_read_in_order_whole_and_without_deleted_ones()
    {
        await using var stores = await control.Migrated();
        var table = await stores.BeginShop();
        var longKey = new string('x', 3000) + "y";
        var deleted = State(table, "d", At(2), "d");
        await stores.Checkpoints.Commit(
            new Checkpoint("shop", 1, [Partition(0, 1, At(9),
            [
                State(table, "b", At(1), "b"), State(table, "", At(1), ""), State(table, longKey, At(1), longKey), State(table, longKey + "z", At(1), "another"),
                (deleted.Key, deleted.State with { Deleted = true, Row = default }), State(table, "Zoë", At(1), "Zoë"),
            ])]),
            default);
        Assert.Equal(5, await stores.Replays.Estimate("shop", "public.orders", default));
        Assert.Equal(0, await stores.Replays.Estimate("shop", "public.none", default));
        Assert.Equal(["public.orders"], await stores.Replays.Tables("shop", default));
        var found = new List<string>();
        var unknown = 0;
        for (string? after = null; ;)
        {
            var some = await stores.Replays.ReadKeys("shop", "public.orders", after, 2, default);
            if (some.After is null)
                break;
            found.AddRange(some.Keys);
            unknown += some.Unknown;
            after = some.After;
        }

        Assert.Equal(["", "Zoë", "b", longKey], found);
        Assert.Equal(1, unknown);
        Assert.Null((await stores.Replays.ReadKeys("shop", "public.none", null, 2, default)).After);
    }

    [Fact]
    public async Task Rows_that_lack_values_are_found()
    {
        await using var stores = await control.Migrated();
        var table = await stores.BeginShop();
        await stores.Checkpoints.Commit(
            new Checkpoint("shop", 1, [Partition(0, 1, At(9),
            [
                State(table, "a", At(1), "a"), State(table, "b", At(1), "utu"), State(table, "c", At(1), "c"), State(table, "d", At(1), "d"), State(table, "e", At(1), "e"),
            ])]),
            default);

        // A row of two columns: a text, and a value that the log left out. That is deleted too, of one of them.
        await stores.Scalar("UPDATE cdc.entity_states SET \"row\" = '\\x0002740000000175'::bytea || '\\x7575'::bytea, deleted = key = 'd' WHERE key IN ('c', 'd')");
        await stores.Scalar("UPDATE cdc.entity_states SET \"row\" = '\\x0003740000000275756e75'::bytea WHERE key = 'e'");
        var found = new List<string>();
        for (string? after = null; ;)
        {
            var some = await stores.Replays.ReadIncomplete("shop", "public.orders", after, 2, default);
            if (some.After is null)
                break;
            found.AddRange(some.Keys);
            after = some.After;
        }

        Assert.Equal(["c", "e"], found);
    }

    [Fact]
    public async Task Large_tables_are_estimated()
    {
        await using var stores = await control.Migrated();
        var table = await stores.BeginShop();
        await stores.Scalar(
            $"""
            INSERT INTO cdc.entity_states (table_id, key, commit_lsn, ordinal, schema_version, deleted) SELECT {table.TableId}, i::text, 1, 1, 1, false FROM generate_series(1, 300000) i;
            ANALYZE cdc.entity_states
            """);
        Assert.InRange(await stores.Replays.Estimate("shop", "public.orders", default), 200_001, 400_000);
    }

    private static StoredReplay Replay(string sink, params string[] tables) => new()
    {
        Source = "shop", Sink = sink, From = "held", Patterns = tables, Rate = 10, Who = "me",
        Tables = [.. tables.Select((t, i) => new ReplayTable { Place = i, Table = t, RowsTotal = 7 })],
    };
}
