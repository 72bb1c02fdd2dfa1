using System.Text.Json;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Storage;

/// <summary>Backfills in the control database: one of a table at a time, whose progress only its newest runner writes.</summary>
public sealed class BackfillStoreTests(ControlServer control)
{
    [Fact]
    public async Task Of_backfills_of_a_table_at_once_one_is_stored()
    {
        await using var stores = await control.Migrated();
        await using var others = new ControlStores(stores.Connection);
        for (var round = 0; round < 10; round++)
        {
            var added = await Task.WhenAll(Enumerable.Range(0, 8).Select(i =>
                (i % 2 == 0 ? stores : others).Backfills.Add(i % 4 < 2 ? Backfill("public.a", "public.b") : Backfill("public.b", "public.a"), default)));
            Assert.Single(added, a => a.IsNew);
            var id = Assert.Single(added.Select(a => a.Backfill.Id).Distinct());
            Assert.True(await stores.Backfills.Change(id, [BackfillState.Running], BackfillState.Cancelled, default));
        }

        Assert.Equal("10", await stores.Scalar("SELECT count(*) FROM cdc.backfills"));
    }

    [Fact]
    public async Task Ahead_are_the_running_ones_of_the_source_that_were_started_before_and_read_more_than_keys()
    {
        await using var stores = await control.Migrated();
        var ids = new List<long>();
        await stores.Backfills.Add(Backfill("public.a") with { Source = "mall" }, default);
        foreach (var table in (string[])["a", "b", "c", "keys", "d", "later"])
        {
            var backfill = Backfill($"public.{table}");
            if (table == "keys")
                backfill = backfill with { Tables = [backfill.Tables[0] with { Keys = ["1"] }] };
            ids.Add((await stores.Backfills.Add(backfill, default)).Backfill.Id);
        }

        await stores.Backfills.Change(ids[1], [BackfillState.Running], BackfillState.Paused, default);
        await stores.Backfills.End((await stores.Backfills.Begin(ids[2], default))!, null, default);
        Assert.Equal([ids[0]], await Ahead(ids[4]));
        await stores.Backfills.Change(ids[1], [BackfillState.Paused], BackfillState.Running, default);
        Assert.Equal([ids[0], ids[1]], await Ahead(ids[4]));
        Assert.Empty(await Ahead(ids[0]));

        async Task<IReadOnlyList<long>> Ahead(long id) => await stores.Backfills.Ahead((await stores.Backfills.Get(id, default))!, default);
    }

    [Fact]
    public async Task An_open_backfill_has_its_tables_alone()
    {
        await using var stores = await control.Migrated();
        var id = (await stores.Backfills.Add(Backfill("public.a", "public.b"), default)).Backfill.Id;
        await Refused("public.c", "public.b");
        Assert.True((await stores.Backfills.Add(Backfill("public.c"), default)).IsNew);
        Assert.True((await stores.Backfills.Add(Backfill("public.a") with { Source = "mall" }, default)).IsNew);
        Assert.True(await stores.Backfills.Change(id, [BackfillState.Running], BackfillState.Paused, default));
        await Refused("public.a");
        await stores.Backfills.End((await stores.Backfills.Get(id, default))!, null, default);
        await Refused("public.a");
        Assert.True(await stores.Backfills.Change(id, [BackfillState.Paused], BackfillState.Running, default));
        await Refused("public.a");
        await stores.Backfills.End((await stores.Backfills.Begin(id, default))!, null, default);
        id = (await stores.Backfills.Add(Backfill("public.a"), default)) is (var again, true) ? again.Id : 0;
        await Refused("public.a");
        await stores.Backfills.End((await stores.Backfills.Begin(id, default))!, "broken", default);
        Assert.True((await stores.Backfills.Add(Backfill("public.a", "public.b"), default)).IsNew);
        var twice = await Assert.ThrowsAsync<ArgumentException>(() => stores.Backfills.Add(Backfill("public.d", "public.d"), default).WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.StartsWith("A backfill cannot have a table twice.", twice.Message, StringComparison.Ordinal);

        async Task Refused(params string[] tables)
        {
            var (backfill, isNew) = await stores.Backfills.Add(Backfill(tables), default);
            Assert.Equal((id, false), (backfill.Id, isNew));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_is_added_meanwhile_counts_when_it_is_committed(bool commits)
    {
        await using var stores = await control.Migrated();
        await using var connection = new NpgsqlConnection(stores.Connection);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Hold(connection, "public.m");

        // Each has a table before the one that they wait for. In the order in which they are asked for, they would wait for each other.
        var first = stores.Backfills.Add(Backfill("public.a", "public.m", "public.z") with { Kind = BackfillKind.Initial }, default);
        await stores.SomeSession("wait_event_type = 'Lock'", sessions: 1);
        var second = stores.Backfills.Add(Backfill("public.z", "public.m", "public.a"), default);
        await stores.SomeSession("wait_event_type = 'Lock'", sessions: 2);
        if (commits)
            await transaction.CommitAsync();
        else
            await transaction.RollbackAsync();
        Assert.Equal(!commits, (await first).IsNew);
        Assert.False((await second).IsNew);
        Assert.Equal((await first).Backfill.Id, (await second).Backfill.Id);
        Assert.Equal("1", await stores.Scalar("SELECT count(*) FROM cdc.backfills"));
        Assert.Equal(commits ? ["public.a", "public.m"] : [], await stores.Backfills.WithoutInitial("shop", ["public.a", "public.m"], default));
    }

    [Fact]
    public async Task What_is_written_comes_back()
    {
        await using var stores = await control.Migrated();
        var full = new BackfillTable
        {
            Place = 1, Table = "public.\"Zoë's\"", Relation = 4_000_000_000, Where = "id > 5 AND name <> 'x'", Columns = ["id", "na,me", "", "Ω"], Keys = ["", "a", "{b}", "NULL"],
            RowsTotal = 1L << 40, After = "(1,\"x\")", IsRead = true, SweptTo = "k\\#", Again = ["NULL", "", "l,m", "\"n\""], IsDone = true,
            RowsDone = 1, Sent = 2, Unchanged = 3, Created = 4, Updated = 5, Deleted = 6, Parked = 7, Refused = 8, Error = "gone",
        };
        var empty = new BackfillTable { Place = 0, Table = "public.a" };
        var none = new BackfillTable { Place = 2, Table = "public.none", Columns = [], Keys = [] };

        // So that a new property is not forgotten here.
        Assert.All(typeof(BackfillTable).GetProperties(), p => Assert.NotEqual(Text(p.GetValue(empty)), Text(p.GetValue(full))));
        foreach (var kind in Enum.GetValues<BackfillKind>())
        {
            var given = new StoredBackfill { Source = "shop", Kind = kind, Patterns = ["shop.public.*", "!x"], Rate = 17, Who = "Zoë", Tables = [empty, full, none] };
            var (added, isNew) = await stores.Backfills.Add(given, default);
            Assert.True(isNew);
            Assert.Equal(Text(given with { Id = added.Id, CreatedAt = added.CreatedAt, UpdatedAt = added.CreatedAt }), Text(added));
            Assert.InRange(DateTimeOffset.UtcNow - added.CreatedAt, TimeSpan.FromMinutes(-1), TimeSpan.FromMinutes(1));
            Assert.Equal(Text(added), Text(await stores.Backfills.Get(added.Id, default)));

            // All but what it is to read is progress.
            var run = (await stores.Backfills.Begin(added.Id, default))!;
            Assert.Equal(1, run.Run);
            Assert.Equal(BackfillState.Running, await stores.Backfills.Save(run, full with { Place = 0 }, "a \0 sink", 12.5, default));
            var stored = (await stores.Backfills.Get(added.Id, default))!;
            Assert.Equal(("a \uFFFD sink", 12.5), (stored.Waiting, stored.Speed));
            Assert.True(stored.UpdatedAt > stored.CreatedAt);
            Assert.Equal(Text([full with { Place = 0, Table = "public.a", Where = null, Columns = null, Keys = null }, full, none]), Text(stored.Tables));
            await stores.Backfills.Save(run, empty with { Place = 1 }, null, 0, default);
            stored = (await stores.Backfills.Get(added.Id, default))!;
            Assert.Null(stored.Waiting);
            Assert.Equal(Text(empty with { Place = 1, Table = full.Table, Where = full.Where, Columns = full.Columns, Keys = full.Keys }), Text(stored.Tables[1]));
            Assert.Equal(Text(none), Text(stored.Tables[2]));
            await stores.Backfills.End(run, "broken \0", default);
            stored = (await stores.Backfills.Get(added.Id, default))!;
            Assert.Equal((BackfillState.Failed, "broken \uFFFD", true), (stored.State, stored.Error, stored.EndedAt >= stored.CreatedAt));
        }

        Assert.Null(await stores.Backfills.Get(99, default));
    }

    [Fact]
    public async Task Only_the_newest_runner_writes_the_progress()
    {
        await using var stores = await control.Migrated();
        await using var others = new ControlStores(stores.Connection);
        var id = (await stores.Backfills.Add(Backfill("public.a", "public.b"), default)).Backfill.Id;
        var another = (await stores.Backfills.Add(Backfill("public.c"), default)).Backfill.Id;
        Assert.Equal([id, another], await stores.Backfills.Running(default));
        var first = (await stores.Backfills.Begin(id, default))!;
        Assert.Equal(BackfillState.Running, await stores.Backfills.Save(first, first.Tables[1] with { After = "k" }, "a sink", 1, default));
        var second = (await others.Backfills.Begin(id, default))!;
        Assert.Equal((2, null, "k"), (second.Run, second.Waiting, second.Tables[1].After));
        Assert.Null(await stores.Backfills.Save(first, first.Tables[1] with { After = "z" }, "x", 5, default));
        await stores.Backfills.End(first, "broken", default);
        var stored = (await stores.Backfills.Get(id, default))!;
        Assert.Equal(("k", null, BackfillState.Running, null, null), (stored.Tables[1].After, stored.Waiting, stored.State, stored.Error, stored.EndedAt));
        Assert.Null(stored.Tables[0].After);
        Assert.False((await stores.Backfills.Add(Backfill("public.a"), default)).IsNew);

        // The state tells the runner that a person paused or ended it.
        Assert.True(await stores.Backfills.Change(id, [BackfillState.Running], BackfillState.Paused, default));
        Assert.Null(await stores.Backfills.Begin(id, default));
        Assert.Equal([another], await stores.Backfills.Running(default));
        Assert.Equal(BackfillState.Paused, await others.Backfills.Save(second, second.Tables[1] with { After = "l" }, "x", 5, default));
        await others.Backfills.End(second, null, default);
        stored = (await stores.Backfills.Get(id, default))!;
        Assert.Equal((BackfillState.Paused, "l", null, 0, null), (stored.State, stored.Tables[1].After, stored.Waiting, stored.Speed, stored.EndedAt));
        Assert.True(await stores.Backfills.Change(id, [BackfillState.Paused], BackfillState.Running, default));
        await stores.Backfills.End((await stores.Backfills.Begin(id, default))!, null, default);
        stored = (await stores.Backfills.Get(id, default))!;
        Assert.Equal((BackfillState.Done, "l", null, true), (stored.State, stored.Tables[1].After, stored.Error, stored.EndedAt is not null));
        Assert.Null(await stores.Backfills.Begin(id, default));
        Assert.Null(await stores.Backfills.Begin(99, default));
        Assert.Null((await stores.Backfills.Get(another, default))!.EndedAt);
    }

    [Fact]
    public async Task A_state_is_changed_from_those_that_are_named()
    {
        await using var stores = await control.Migrated();
        var backfills = stores.Backfills;
        var id = (await backfills.Add(Backfill("public.a"), default)).Backfill.Id;
        var run = (await backfills.Begin(id, default))!;
        await backfills.Save(run, run.Tables[0], "a sink", 5, default);
        Assert.False(await backfills.Change(id, [BackfillState.Paused], BackfillState.Running, default));
        Assert.False(await backfills.Change(id, [], BackfillState.Paused, default));
        Assert.False(await backfills.Change(99, [BackfillState.Running], BackfillState.Paused, default));
        Assert.True(await backfills.Change(id, [BackfillState.Running], BackfillState.Paused, default));
        var stored = (await backfills.Get(id, default))!;
        Assert.Equal((BackfillState.Paused, null, 0, null), (stored.State, stored.Waiting, stored.Speed, stored.EndedAt));
        Assert.False(await backfills.Change(id, [BackfillState.Running], BackfillState.Cancelled, default));
        Assert.True(await backfills.Change(id, [BackfillState.Running, BackfillState.Paused], BackfillState.Cancelled, default));
        stored = (await backfills.Get(id, default))!;
        Assert.Equal((BackfillState.Cancelled, true), (stored.State, stored.EndedAt is not null));
        Assert.False(await backfills.Change(id, [BackfillState.Running, BackfillState.Paused], BackfillState.Running, default));
        Assert.Equal(BackfillState.Cancelled, await backfills.Save(run, run.Tables[0], null, 0, default));
        await backfills.End(run, "broken", default);
        Assert.Equal((BackfillState.Cancelled, null), ((await backfills.Get(id, default))!.State, (await backfills.Get(id, default))!.Error));
    }

    [Fact]
    public async Task They_are_listed_by_pages_the_newest_first()
    {
        await using var stores = await control.Migrated();
        var ids = new List<long>();
        for (var i = 0; i < 5; i++)
            ids.Add((await stores.Backfills.Add(Backfill($"public.t{i}", $"public.a{i}"), default)).Backfill.Id);
        var first = await stores.Backfills.List(0, 2, default);
        Assert.Equal([ids[4], ids[3]], first.Select(b => b.Id));
        Assert.Equal(["public.t4", "public.a4"], first[0].Tables.Select(t => t.Table));
        Assert.Equal(["public.t3", "public.a3"], first[1].Tables.Select(t => t.Table));
        Assert.Equal([ids[2], ids[1]], (await stores.Backfills.List(ids[3], 2, default)).Select(b => b.Id));
        Assert.Equal([ids[0]], (await stores.Backfills.List(ids[1], 2, default)).Select(b => b.Id));
        Assert.Empty(await stores.Backfills.List(ids[0], 2, default));
    }

    [Fact]
    public async Task An_initial_backfill_is_known_for_ever()
    {
        await using var stores = await control.Migrated();
        await stores.Backfills.Add(Backfill("public.d"), default);
        Assert.False((await stores.Backfills.Add(Backfill("public.c", "public.d") with { Kind = BackfillKind.Initial }, default)).IsNew);
        var id = (await stores.Backfills.Add(Backfill("public.b", "public.a") with { Kind = BackfillKind.Initial }, default)).Backfill.Id;
        Assert.Equal(["public.z", "public.d", "public.c"], await Without());
        Assert.Equal(["public.a"], await stores.Backfills.WithoutInitial("mall", ["public.a"], default));
        await stores.Backfills.End((await stores.Backfills.Begin(id, default))!, "broken", default);

        // Ended ones are deleted after 90 days, when another one is added. Open ones stay.
        await stores.Scalar("UPDATE cdc.backfills SET ended_at = now() - interval '90 days' + interval '1 minute' WHERE state = 'failed'");
        await stores.Scalar("UPDATE cdc.backfills SET created_at = now() - interval '1 year'");
        await stores.Backfills.Add(Backfill("public.e"), default);
        Assert.NotNull(await stores.Backfills.Get(id, default));
        await stores.Scalar("UPDATE cdc.backfills SET ended_at = now() - interval '90 days' - interval '1 minute' WHERE state = 'failed'");
        await stores.Backfills.Add(Backfill("public.f"), default);
        Assert.Null(await stores.Backfills.Get(id, default));
        Assert.Equal("d e f", await stores.Scalar("SELECT string_agg(right(table_name, 1), ' ' ORDER BY table_name) FROM cdc.backfill_tables"));
        Assert.Equal(["public.z", "public.d", "public.c"], await Without());
        Assert.True((await stores.Backfills.Add(Backfill("public.a") with { Kind = BackfillKind.Initial }, default)).IsNew);

        Task<IReadOnlyList<string>> Without() => stores.Backfills.WithoutInitial("shop", ["public.z", "public.b", "public.d", "public.a", "public.c"], default);
    }

    [Fact]
    public async Task Without_the_control_database_every_method_says_so()
    {
        await using var stores = new ControlStores($"Host=127.0.0.1;Port={PostgresServer.FreePort()};Database=cdc;Username=u");
        var (backfills, backfill) = (stores.Backfills, Backfill("public.a"));
        Func<Task>[] methods =
        [
            () => backfills.Add(backfill, default), () => backfills.WithoutInitial("shop", [], default), () => backfills.AfterGap("shop", [], default), () => backfills.List(0, 1, default),
            () => backfills.Get(1, default), () => backfills.Running(default), () => backfills.Ahead(backfill, default), () => backfills.Change(1, [], BackfillState.Paused, default),
            () => backfills.Begin(1, default), () => backfills.Save(backfill, backfill.Tables[0], null, 0, default), () => backfills.End(backfill, null, default),
            () => backfills.AddChunk("shop", new ChunkSnapshot(new TransactionSnapshot(1, 2), new Lsn(1)), default), () => backfills.Fence("shop", default),
            () => backfills.HasStates(1, default),
        ];
        Assert.Equal(typeof(IBackfillStore).GetMethods().Length, methods.Length);
        foreach (var method in methods)
            await Assert.ThrowsAsync<StateUnavailableException>(method);
    }

    /// <summary>Adds a backfill of a table in the transaction of a connection.</summary>
    private static async Task Hold(NpgsqlConnection connection, string table)
    {
        await using var command = new NpgsqlCommand(
            $"""
            WITH added AS (INSERT INTO cdc.backfills (source, kind, patterns, rate, state, who) VALUES ('shop', 'rows', '{"{}"}', 0, 'running', 'x') RETURNING id)
            INSERT INTO cdc.backfill_tables (
                backfill_id, place, source, table_name, relation_oid, rows_total, is_read, again, is_done,
                rows_done, sent, unchanged, created, updated, deleted, parked, refused)
            SELECT id, 0, 'shop', '{table}', 0, 0, false, '{"{}"}', false, 0, 0, 0, 0, 0, 0, 0, 0 FROM added
            """,
            connection);
        await command.ExecuteNonQueryAsync();
    }

    private static string Text(object? value) => JsonSerializer.Serialize(value);

    private static string Text(BackfillTable[] tables) => JsonSerializer.Serialize(tables);

    private static StoredBackfill Backfill(params string[] tables) => new()
    {
        Source = "shop", Kind = BackfillKind.Rows, Patterns = tables, Rate = 10, Who = "me",
        Tables = [.. tables.Select((t, i) => new BackfillTable { Place = i, Table = t, RowsTotal = 7 })],
    };
}
