using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Old delete markers and dead letters are deleted; nothing else is, and nobody waits for it.</summary>
public sealed class RetentionTests(ControlServer control) : IAsyncLifetime
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private ControlStores _stores = null!;
    private TableSchema _table = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.BeginShop();
        await _stores.Positions.Set("shop", 1, new ServerLog("server", 1, null), new Lsn(100), default);
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task Only_old_markers_go_that_the_confirmed_position_has_passed()
    {
        await Commit(State(_table, "lives", At(5), "x"), Gone("old", 5), Gone("just confirmed", 99), Gone("not confirmed", 100), Gone("young", 6), Gone("back", 7));
        await Commit(State(_table, "back", At(8), "again"));
        Assert.Equal("back,lives", await _stores.Scalar("SELECT string_agg(key, ',' ORDER BY key) FROM cdc.entity_states WHERE deleted_at IS NULL"));
        await Age("key <> 'young'");
        Assert.Equal(2, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
        Assert.Equal("back,lives,not confirmed,young", await Keys());

        await _stores.Positions.Set("shop", 1, new ServerLog("server", 1, null), new Lsn(101), default);
        Assert.Equal(1, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
        Assert.Equal("back,lives,young", await Keys());
    }

    [Fact]
    public async Task A_marker_without_an_age_gets_one()
    {
        await Commit(Gone("earlier release", 5));
        await _stores.Scalar("UPDATE cdc.entity_states SET deleted_at = NULL");
        Assert.Equal(0, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
        Assert.Equal("True", await _stores.Scalar("SELECT deleted_at > now() - interval '1 minute' FROM cdc.entity_states"));
        await Age("true");
        Assert.Equal(1, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
    }

    [Fact]
    public async Task Old_audit_entries_go_a_few_at_a_time()
    {
        foreach (var number in Enumerable.Range(1, 15))
            await _stores.Audit.Add(new AuditEntry(0, default, "me", "discard", $"{number}", ""), default);
        await _stores.Scalar("UPDATE cdc.audit SET at = now() - interval '2 days' WHERE arguments <> '7'");
        Assert.Equal([10, 4, 0], [await Purge(), await Purge(), await Purge()]);
        Assert.Equal("7", await _stores.Scalar("SELECT arguments FROM cdc.audit"));

        Task<int?> Purge() => _stores.Retention.PurgeAudit(Day, 10, default);
    }

    [Fact]
    public async Task Old_dead_letters_go_a_few_at_a_time()
    {
        await _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(5), letters: [.. Enumerable.Range(0, 25).Select(i => Letter($"{i}", At(5), [1]))])]), default);
        await _stores.Scalar("UPDATE cdc.dead_letters SET failed_at = now() - interval '2 days' WHERE entity_key <> '7'");
        Assert.Equal([10, 10, 4, 0], [await Purge(), await Purge(), await Purge(), await Purge()]);
        Assert.Equal("7", await _stores.Scalar("SELECT entity_key FROM cdc.dead_letters"));

        Task<int?> Purge() => _stores.Retention.PurgeDeadLetters(Day, 10, default);
    }

    [Fact]
    public async Task What_another_session_has_locked_is_left_for_the_next_time()
    {
        await Commit(Gone("a", 5), Gone("b", 5));
        await Age("true");
        await using var checkpoint = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await checkpoint.OpenAsync();
        await using var transaction = await checkpoint.BeginTransactionAsync();
        await using (var update = new NpgsqlCommand("UPDATE cdc.entity_states SET deleted = false, deleted_at = NULL, commit_lsn = 6 WHERE key = 'a'", checkpoint))
            await update.ExecuteNonQueryAsync();
        Assert.Equal(1, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default).WaitAsync(TimeSpan.FromSeconds(10)));
        await transaction.CommitAsync();
        Assert.Equal(0, await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
        Assert.Equal("a", await Keys());
    }

    [Fact]
    public async Task One_silo_at_a_time_sweeps()
    {
        await using var other = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await using (var sweep = new NpgsqlCommand("SELECT cdc.purge_dead_letters('1 day', 10)", other))
            Assert.Equal(0, await sweep.ExecuteScalarAsync());
        Assert.Null(await _stores.Retention.PurgeDeadLetters(Day, 10, default));
        Assert.Null(await _stores.Retention.PurgeDeleteMarkers(Day, 10, default));
        await transaction.CommitAsync();
        Assert.Equal(0, await _stores.Retention.PurgeDeadLetters(Day, 10, default));
    }

    [Fact]
    public async Task The_index_of_markers_costs_updates_of_living_rows_nothing()
    {
        await Commit(State(_table, "lives", At(1), "x"));
        for (var lsn = 2UL; lsn < 20; lsn++)
            await Commit(State(_table, "lives", At(lsn), "x"));
        await _stores.Scalar("SELECT pg_stat_force_next_flush()");
        await _stores.SomeSession("(SELECT n_tup_upd = 18 FROM pg_stat_user_tables WHERE relname = 'entity_states')");
        Assert.Equal("18", await _stores.Scalar("SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'entity_states'"));
    }

    private (string Key, EntityState State) Gone(string key, ulong lsn) => (key, new EntityState(At(lsn), _table, default, true));

    private Task<IReadOnlyList<EntityKey>> Commit(params (string Key, EntityState State)[] states) =>
        _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(1), states, high: At(200))]), default);

    private Task Age(string which) => PostgresServer.Execute(_stores.Connection, $"UPDATE cdc.entity_states SET deleted_at = deleted_at - interval '2 days' WHERE {which}");

    private Task<string?> Keys() => _stores.Scalar("SELECT string_agg(key, ',' ORDER BY key) FROM cdc.entity_states");
}
