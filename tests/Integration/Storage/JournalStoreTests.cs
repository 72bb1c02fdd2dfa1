using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Journals in the control database: written with the states, kept in segments, deleted by age and size, and read in their order.</summary>
public sealed class JournalStoreTests(ControlServer control) : IAsyncLifetime
{
    private static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private ControlStores _stores = null!;
    private TableSchema _table = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task What_is_written_is_read_whole()
    {
        var change = Change("1", 5, ChangeOperation.Update) with
        {
            OtherRow = Row("other"), TotalOrder = 3, TableOrder = 2, HasOmitted = true,
            Transaction = new SourceTransaction
            {
                CommitLsn = new Lsn(5), PreviousCommitEnd = new Lsn(4), Xid = uint.MaxValue, CommitMicros = 1_700_000_000_123_456, Origin = "pg_1", OriginLsn = new Lsn(77),
            },
        };
        await Commit(new JournalRow { Change = change, Before = Row("old"), BeforeTable = _table, After = Row("new") });
        var (position, row) = Assert.Single(await ReadAll());
        Assert.Equal(new JournalPosition(1, At(5)), position);
        Assert.Equal((change.Operation, change.Entity, change.Version, change.Lsn, 3, 2, true),
            (row.Change.Operation, row.Change.Entity, row.Change.Version, row.Change.Lsn, row.Change.TotalOrder, row.Change.TableOrder, row.Change.HasOmitted));
        var (wrote, read) = (change.Transaction, row.Change.Transaction);
        Assert.Equal((wrote.CommitLsn, wrote.PreviousCommitEnd, wrote.Xid, wrote.CommitMicros, wrote.Origin, wrote.OriginLsn),
            (read.CommitLsn, read.PreviousCommitEnd, read.Xid, read.CommitMicros, read.Origin, read.OriginLsn));
        Assert.Equal(["old", "new", "old", "new", "other"], new[] { row.Before, row.After, row.Change.Before, row.Change.After, row.Change.OtherRow }.Select(TextOf));
        Assert.Equal((_table.Version, _table.Version), (row.BeforeTable!.Version, row.Change.Table.Version));
    }

    [Fact]
    public async Task A_checkpoint_that_is_repeated_doubles_nothing()
    {
        await Commit(Rows(1, 10));
        await Commit(Rows(5, 10));
        Assert.Equal(Enumerable.Range(1, 14).Select(i => (ulong)i), (await ReadAll()).Select(e => e.Position.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_checkpoint_whose_session_dies_leaves_neither_states_nor_journal_and_the_next_one_has_both()
    {
        await _stores.Scalar($"INSERT INTO cdc.entity_states VALUES ({_table.TableId}, '1', 1, 1, 1, false, NULL)");
        await using var obstacle = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await obstacle.OpenAsync();
        await using var transaction = await obstacle.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("SELECT FROM cdc.entity_states WHERE key = '1' FOR UPDATE", obstacle))
            await hold.ExecuteNonQueryAsync();

        // The journal rows are on the server and the states wait: then the session dies.
        var commit = Commit([State(_table, "1", At(9), "nine")], Rows(2, 8));
        await _stores.SomebodyWaitsForALock();
        await PostgresServer.Execute(_stores.Connection, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => commit);
        await transaction.RollbackAsync();
        Assert.Empty(await ReadAll());
        Assert.Equal("1", await _stores.Scalar("SELECT commit_lsn FROM cdc.entity_states"));

        await Commit([State(_table, "1", At(9), "nine")], Rows(2, 8));
        Assert.Equal(8, (await ReadAll()).Count);
        Assert.Equal("9 1", await _stores.Scalar(
            $"SELECT max(s.commit_lsn) || ' ' || count(DISTINCT x) FROM cdc.entity_states s, LATERAL (SELECT s.xmin::text AS x UNION ALL SELECT xmin::text FROM cdc.journal_{_table.TableId}_1) xs"));
    }

    [Fact]
    public async Task A_stale_owner_writes_no_journal()
    {
        await _stores.Checkpoints.Claim("shop", 0, "silo-2", default);
        await Assert.ThrowsAsync<StaleOwnerException>(() => Commit(Rows(1, 3)));
        Assert.Empty(await ReadAll());
    }

    [Fact]
    public async Task A_checkpoint_in_parts_that_ends_in_between_has_the_journal_of_its_states()
    {
        await using var source = NpgsqlDataSource.Create(_stores.Connection);
        var store = new PostgresCheckpointStore(source, _stores.Schemas, limits: new CheckpointLimits { MostRows = 2000 });
        await _stores.Scalar($"INSERT INTO cdc.entity_states VALUES ({_table.TableId}, '9999', 1, 1, 1, false, NULL)");
        await using var obstacle = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await obstacle.OpenAsync();
        await using var transaction = await obstacle.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("SELECT FROM cdc.entity_states WHERE key = '9999' FOR UPDATE", obstacle))
            await hold.ExecuteNonQueryAsync();
        var offered = Offered(
            [.. Enumerable.Range(0, 10_000).Select(i => State(_table, i.ToString("D4", CultureInfo.InvariantCulture), At(9, i + 1), "x"))],
            [.. Enumerable.Range(0, 10_000).Select(i => Journal(i.ToString("D4", CultureInfo.InvariantCulture), 9, i + 1))]);
        using var cancellation = new CancellationTokenSource();
        var commit = store.Commit(offered, cancellation.Token);
        await _stores.SomebodyWaitsForALock();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => commit);
        await transaction.RollbackAsync();
        Assert.Equal("0", await _stores.Scalar(
            $"SELECT count(*) FROM cdc.entity_states s WHERE s.commit_lsn = 9 AND NOT EXISTS (SELECT FROM cdc.journal_{_table.TableId}_1 j WHERE (j.commit_lsn, j.ordinal) = (s.commit_lsn, s.ordinal))"));
        Assert.NotEqual("0", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states WHERE commit_lsn = 9"));

        await store.Commit(offered, default);
        Assert.Equal("10000 10000", await _stores.Scalar($"SELECT count(*) || ' ' || count(DISTINCT entity_key) FROM cdc.journal_{_table.TableId}_1"));
    }

    [Fact]
    public async Task Two_silos_that_begin_a_journal_at_the_same_time_make_one()
    {
        await _stores.Checkpoints.Claim("shop", 1, "silo-2", default);
        await using var other = new ControlStores(_stores.Connection);
        await Task.WhenAll(
            _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(100)) with { Journal = Rows(1, 50) }]), default),
            other.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(1, 1, At(100)) with { Journal = Rows(51, 50) }]), default));
        Assert.Equal(100, (await ReadAll()).Count);
        Assert.Equal(1, Assert.Single(await _stores.Journals.List(default)).Segments);
    }

    [Fact]
    public async Task A_change_that_comes_late_goes_to_the_segment_it_belongs_to_and_is_there_once()
    {
        await Commit(Rows(10, 10));
        await Roll();
        await Commit(Rows(5, 20));
        Assert.Equal(2, Assert.Single(await _stores.Journals.List(default)).Segments);
        Assert.Equal(Enumerable.Range(5, 20).Select(i => (ulong)i), (await ReadAll()).Select(e => e.Position.Version.CommitLsn.Value));
        Assert.Equal("15", await _stores.Scalar($"SELECT count(*) FROM cdc.journal_{_table.TableId}_1"));

        // A transaction that was split between two checkpoints stays in one segment.
        await Commit(Journal("late", 19, 7));
        Assert.Equal("16", await _stores.Scalar($"SELECT count(*) FROM cdc.journal_{_table.TableId}_1"));
    }

    [Fact]
    public async Task Segments_go_when_all_their_changes_are_too_old()
    {
        var day = new JournalOptions { Age = TimeSpan.FromDays(1) };
        await Commit([.. Rows(1, 5).Select(r => Committed(r, DateTimeOffset.UtcNow.AddHours(-30)))]);
        await Aged();
        Assert.Equal(1, await Sweep(day));
        await Commit([.. Rows(10, 5).Select(r => Committed(r, DateTimeOffset.UtcNow.AddHours(-20)))]);
        await Aged();
        Assert.Equal(0, await Sweep(day));
        await Commit([.. Rows(20, 5).Select(r => Committed(r, DateTimeOffset.UtcNow))]);
        Assert.Equal(0, await Sweep(day));
        Assert.Equal(10, (await ReadAll()).Count);

        // What is older than the oldest segment is not written again.
        await Commit(Rows(1, 5));
        Assert.Equal(10, (await ReadAll()).Count);
        Assert.Equal("2", await _stores.Scalar($"SELECT count(*) FROM pg_tables WHERE tablename LIKE 'journal\\_{_table.TableId}\\_%'"));
        Assert.InRange(Assert.Single(await _stores.Journals.List(default)).Oldest!.Value, DateTimeOffset.UtcNow.AddHours(-20.1), DateTimeOffset.UtcNow.AddHours(-20));
    }

    [Fact]
    public async Task The_oldest_segments_go_when_the_journal_is_too_large_also_after_its_option_was_removed()
    {
        var size = new JournalOptions { Size = 4 << 20 };
        var random = new Random(1);
        var lsn = 1UL;
        for (var i = 0; i < 30; i++)
        {
            await Commit([.. Enumerable.Range(0, 50).Select(_ => Journal("k", lsn++, text: Noise(random, 5000)))]);
            await Sweep(i < 20 ? size : null);
            Assert.InRange(Assert.Single(await _stores.Journals.List(default)).Bytes, 1, size.Size.Value);
        }

        var left = await ReadAll();
        Assert.InRange(left.Count, 200, 900);
        Assert.Equal(1500UL, left[^1].Position.Version.CommitLsn.Value);
        Assert.Equal(Enumerable.Range(0, left.Count).Select(i => left[0].Position.Version.CommitLsn.Value + (ulong)i), left.Select(e => e.Position.Version.CommitLsn.Value));
    }

    [Fact]
    public async Task A_sweep_does_not_wait_long_for_a_checkpoint_that_stands_still_and_holds_nobody_up()
    {
        await Commit(Rows(1, 5));
        await using var frozen = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await frozen.OpenAsync();
        await using var transaction = await frozen.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand($"SELECT pg_advisory_xact_lock_shared(cdc.journal_lock({_table.TableId}))", frozen))
            await hold.ExecuteNonQueryAsync();
        var sweep = await Assert.ThrowsAsync<PostgresException>(() => Sweep(new JournalOptions { Size = 1 }));
        Assert.Equal(PostgresErrorCodes.LockNotAvailable, sweep.SqlState);
        await Commit(Rows(6, 5)).WaitAsync(TimeSpan.FromSeconds(10));
        await transaction.RollbackAsync();
        Assert.Equal(10, (await ReadAll()).Count);
        Assert.Equal(1, await Sweep(new JournalOptions { Size = 1 }));
    }

    [Fact]
    public async Task After_an_accepted_gap_lower_positions_are_newer_changes()
    {
        await Commit(Rows(100, 3));
        await _stores.Positions.Set("shop", 1, new ServerLog("server", 1, null), new Lsn(103), default);
        await _stores.Positions.Reset("shop", 1, new ServerLog("other", 1, null), new Lsn(0), [], default);
        var claim = await _stores.Checkpoints.Claim("shop", 0, "silo-1", default);
        await _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, claim.Generation, At(200)) with { Journal = [.. Rows(50, 2), .. Rows(101, 1)] }]), default);
        Assert.Equal([100UL, 101UL, 102UL, 50UL, 51UL, 101UL], (await ReadAll()).Select(e => e.Position.Version.CommitLsn.Value));
        var history = await _stores.Journals.History("shop", new EntityKey("public.orders", "101"), JournalPosition.End, JournalWindow.All, 10, 1 << 20, default);
        Assert.Equal([2, 1], history.Entries.Select(e => e.Position.Segment));
    }

    [Fact]
    public async Task Pages_go_over_segments_and_windows_are_of_time_or_position()
    {
        for (var i = 0; i < 5; i++)
        {
            await Commit([.. Rows((ulong)(i * 10) + 1, 10).Select(r => Committed(r, Noon.AddMinutes(r.Change.Version.CommitLsn.Value)))]);
            await Roll();
        }

        var pages = new List<int>();
        var all = new List<JournalEntry>();
        while (await _stores.Journals.Read("shop", "public.orders", all.Count == 0 ? JournalPosition.Start : all[^1].Position, JournalWindow.All, 7, long.MaxValue, default) is { Count: > 0 } page)
        {
            pages.Add(page.Count);
            all.AddRange(page);
        }

        Assert.Equal([7, 7, 7, 7, 7, 7, 7, 1], pages);
        Assert.Equal(Enumerable.Range(1, 50).Select(i => (ulong)i), all.Select(e => e.Position.Version.CommitLsn.Value));
        Assert.Single(await _stores.Journals.Read("shop", "public.orders", JournalPosition.Start, JournalWindow.All, 7, 1, default));
        Assert.Equal((8UL, 29UL, 22), await Window(new JournalWindow { SinceLsn = new Lsn(8), UntilLsn = new Lsn(30) }));
        Assert.Equal((8UL, 29UL, 22), await Window(new JournalWindow { SinceTime = Noon.AddMinutes(8), UntilTime = Noon.AddMinutes(30) }));
        Assert.Equal((8UL, 50UL, 43), await Window(new JournalWindow { SinceTime = Noon.AddMinutes(7.5) }));
        Assert.Empty(await _stores.Journals.Read("shop", "public.other", JournalPosition.Start, JournalWindow.All, 7, 1, default));

        async Task<(ulong, ulong, int)> Window(JournalWindow window)
        {
            var found = await _stores.Journals.Read("shop", "public.orders", JournalPosition.Start, window, 1000, long.MaxValue, default);
            return (found[0].Position.Version.CommitLsn.Value, found[^1].Position.Version.CommitLsn.Value, found.Count);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(100)]
    public async Task The_history_of_an_entity_is_the_newest_first_and_has_the_truncations_that_deleted_it(int limit)
    {
        // Of the entity: created at 10, changed at 20; truncated at 30, and again at 31; created at 40, deleted at 50; truncated at 60.
        foreach (var row in (JournalRow[])
        [
            Truncate(5), Journal("a", 10), Journal("b", 11), Journal("a", 20), Truncate(30), Truncate(31), Journal("a", 40), Delete("a", 50), Truncate(60), Journal("b", 61),
        ])
        {
            await Commit(row);
            if (row.Change.Version.CommitLsn.Value is 11 or 30 or 40)
                await Roll();
        }

        Assert.Equal([50UL, 40UL, 30UL, 20UL, 10UL], await History("a", JournalWindow.All));
        Assert.Equal([61UL, 30UL, 11UL], await History("b", JournalWindow.All));
        Assert.Empty(await History("c", JournalWindow.All));
        Assert.Equal([30UL, 20UL], await History("a", new JournalWindow { SinceLsn = new Lsn(20), UntilLsn = new Lsn(40) }));
        Assert.Equal([30UL], await History("a", new JournalWindow { SinceLsn = new Lsn(25), UntilLsn = new Lsn(40) }));
        Assert.Empty(await History("a", new JournalWindow { SinceLsn = new Lsn(31), UntilLsn = new Lsn(40) }));

        async Task<List<ulong>> History(string key, JournalWindow window)
        {
            var found = new List<ulong>();
            var before = JournalPosition.End;
            while (true)
            {
                var page = await _stores.Journals.History("shop", new EntityKey("public.orders", key), before, window, limit, 1 << 20, default);
                Assert.InRange(page.Entries.Count, 0, limit);
                found.AddRange(page.Entries.Select(e => e.Position.Version.CommitLsn.Value));
                if (!page.HasMore)
                    return found;
                before = page.Entries[^1].Position;
            }
        }
    }

    [Fact]
    public async Task A_segment_that_is_deleted_while_a_page_is_read_is_left_out()
    {
        await Commit(Rows(1, 5));
        await Roll();
        await Commit(Rows(6, 5));
        await _stores.Scalar($"DROP TABLE cdc.journal_{_table.TableId}_1");
        Assert.Equal(5, (await ReadAll()).Count);
        Assert.Empty((await _stores.Journals.History("shop", new EntityKey("public.orders", "1"), JournalPosition.End, JournalWindow.All, 10, 1 << 20, default)).Entries);
    }

    [Fact]
    public async Task Keys_of_any_length_have_a_history()
    {
        var key = new string('ß', 5000);
        await Commit(Journal(key, 1), Journal(key + "x", 2));
        var page = await _stores.Journals.History("shop", new EntityKey("public.orders", key), JournalPosition.End, JournalWindow.All, 10, 1 << 20, default);
        Assert.Equal(key, Assert.Single(page.Entries).Row.Change.Entity.Key);
    }

    [Fact]
    public async Task Images_that_are_too_large_are_left_out_those_before_the_change_first()
    {
        await using var source = NpgsqlDataSource.Create(_stores.Connection);
        var store = new PostgresCheckpointStore(source, _stores.Schemas, limits: new CheckpointLimits { MostOfOneRow = 1000 });
        var both = Journal("1", 1, text: new string('x', 600)) with { Before = Row(new string('y', 600)), BeforeTable = _table };
        await store.Commit(Offered([], [both, Journal("2", 2, text: new string('x', 2000))]), default);
        var rows = await ReadAll();
        Assert.Equal([(false, true, true), (false, false, true)], rows.Select(r => (r.Row.Before.IsPresent, r.Row.After.IsPresent, r.Row.IsTooLarge)));

        // In a history, what is larger than a page should be is not sent.
        await Commit(Journal("3", 3, text: new string('x', PostgresJournal.MostShown)));
        var page = await _stores.Journals.History("shop", new EntityKey("public.orders", "3"), JournalPosition.End, JournalWindow.All, 10, 1 << 20, default);
        Assert.Equal((false, true), (page.Entries[0].Row.After.IsPresent, page.Entries[0].Row.IsTooLarge));
    }

    private Task<IReadOnlyList<EntityKey>> Commit(params JournalRow[] rows) => Commit([], rows);

    private Task<IReadOnlyList<EntityKey>> Commit((string Key, EntityState State)[] states, JournalRow[] rows) => _stores.Checkpoints.Commit(Offered(states, rows), default);

    private static Checkpoint Offered((string Key, EntityState State)[] states, JournalRow[] rows) =>
        new("shop", 1, [Partition(0, 1, At(1000), states) with { Journal = rows }]);

    private Task<int?> Sweep(JournalOptions? options) => _stores.Retention.SweepJournal(_table.TableId, options, default);

    // Ends the newest segment.
    private Task<string?> Roll() => _stores.Scalar($"SELECT cdc.roll_journal(table_id, number)::text FROM cdc.journal_segments WHERE to_lsn IS NULL");

    // As if the newest segment had been begun long ago.
    private Task<string?> Aged() => _stores.Scalar("UPDATE cdc.journal_segments SET begun_at = now() - interval '4 hours' WHERE to_lsn IS NULL");

    private Task<IReadOnlyList<JournalEntry>> ReadAll() =>
        _stores.Journals.Read("shop", "public.orders", JournalPosition.Start, JournalWindow.All, int.MaxValue, long.MaxValue, default);

    private JournalRow[] Rows(ulong first, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Journal((first + (ulong)i).ToString(CultureInfo.InvariantCulture), first + (ulong)i))];

    private JournalRow Journal(string key, ulong lsn, long ordinal = 1, string text = "text") =>
        new() { Change = Change(key, lsn, ChangeOperation.Create, ordinal), After = Row(text) };

    private JournalRow Delete(string key, ulong lsn) => new() { Change = Change(key, lsn, ChangeOperation.Delete), Before = Row("gone"), BeforeTable = _table };

    private JournalRow Truncate(ulong lsn) => new() { Change = Change("", lsn, ChangeOperation.Truncate) };

    private static JournalRow Committed(JournalRow row, DateTimeOffset at) => row with
    {
        Change = row.Change with
        {
            Transaction = new SourceTransaction { CommitLsn = row.Change.Version.CommitLsn, Xid = 1, CommitMicros = (at - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond },
        },
    };

    private RowChange Change(string key, ulong lsn, ChangeOperation operation, long ordinal = 1) => new()
    {
        Operation = operation, Table = _table, Entity = new EntityKey("public.orders", key), Version = At(lsn, ordinal), Lsn = new Lsn(lsn),
        Transaction = new SourceTransaction { CommitLsn = new Lsn(lsn), Xid = 1, CommitMicros = (long)lsn * 1_000_000 },
    };

    private static string TextOf(RowImage row) => Text(new EntityState(At(1), null!, row, false));

    private static string Noise(Random random, int length) => string.Create(length, random, static (text, random) =>
    {
        for (var i = 0; i < text.Length; i++)
            text[i] = (char)random.Next(33, 126);
    });
}
