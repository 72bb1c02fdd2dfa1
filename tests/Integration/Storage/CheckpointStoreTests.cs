using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

public sealed class CheckpointStoreTests(ControlServer control) : IAsyncLifetime
{
    private ControlStores _stores = null!;
    private TableSchema _table = null!;
    private long _epoch;

    private ICheckpointStore Store => _stores.Checkpoints;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.Schemas.Register("shop", Orders("id"), default);
        _epoch = await Store.RaiseEpoch("shop", "silo-1", null, default);
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task A_checkpoint_is_found_again()
    {
        var claim = await Store.Claim("shop", 3, "silo-1", default);
        Assert.Equal(new PartitionClaim(1, ChangeVersion.None, ChangeVersion.None), claim);
        var deleted = ("gone", new EntityState(At(0x1_0000_0001, 4), _table, default, true));
        await Commit(Partition(3, 1, At(0x1_0000_0001, 2), [State(_table, "1", At(0x1_0000_0000, 7), "one"), deleted], high: At(0x1_0000_0001, 4)));

        await using var other = new ControlStores(_stores.Connection);
        var states = await other.Checkpoints.ReadStates([new(_table.TableId, "gone"), new(_table.TableId, "1")], default);
        Assert.Equal(At(0x1_0000_0001, 4), states[0]!.Version);
        Assert.True(states[0]!.Deleted);
        Assert.False(states[0]!.Row.IsPresent);
        Assert.Equal(At(0x1_0000_0000, 7), states[1]!.Version);
        Assert.False(states[1]!.Deleted);
        Assert.Equal("one", Text(states[1]));
        Assert.Equal((_table.TableId, 1, "public.orders"), (states[1]!.Table.TableId, states[1]!.Table.Version, states[1]!.Table.FullName));
        Assert.Equal(new PartitionClaim(2, At(0x1_0000_0001, 2), At(0x1_0000_0001, 4)), await other.Checkpoints.Claim("shop", 3, "silo-2", default));
        Assert.Equal([new PartitionProgressRow(3, 2, At(0x1_0000_0001, 2), At(0x1_0000_0001, 4))], await _stores.ReadProgress("shop", default));
        Assert.Empty(await _stores.ReadProgress("mall", default));
    }

    [Fact]
    public async Task Epochs_and_generations_rise_by_one_however_many_ask()
    {
        var epochs = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Store.RaiseEpoch("fresh", $"silo-{i}", null, default)));
        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), epochs.Order());
        var claims = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Store.Claim("fresh", 0, $"silo-{i}", default)));
        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), claims.Select(c => c.Generation).Order());
    }

    [Fact]
    public async Task The_number_of_partitions_is_fixed_by_the_first()
    {
        await Store.FixPartitions("shop", 32, default);
        await Store.FixPartitions("shop", 32, default);
        var trouble = await Assert.ThrowsAsync<InvalidOperationException>(() => Store.FixPartitions("shop", 16, default));
        Assert.Contains("Source 'shop' has run with 32 partitions since its first start and cannot change to 16", trouble.Message, StringComparison.Ordinal);
        await Store.FixPartitions("not yet seen", 4, default);
        Assert.Equal(1, await Store.RaiseEpoch("not yet seen", "silo-1", null, default));
    }

    [Fact]
    public async Task A_truncation_forgets_a_tables_states_up_to_its_version()
    {
        var other = await _stores.Schemas.Register("shop", Named("kept", "id"), default);
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(9, 9), [State(_table, "before", At(5, 1), "a"), State(_table, "same", At(5, 2), "b"), State(_table, "after", At(5, 3), "c"), State(other, "x", At(5, 1), "d")], high: At(9, 9)));

        await Store.Truncate("shop", _epoch, _table.TableId, At(5, 2), default);
        await Store.Truncate("shop", _epoch, _table.TableId, At(5, 2), default);
        var states = await Store.ReadStates(
            [new(_table.TableId, "before"), new(_table.TableId, "same"), new(_table.TableId, "after"), new(other.TableId, "x")], default);
        Assert.Equal([null, null, "c", "d"], states.Select(s => s is null ? null : Text(s)));
    }

    [Fact]
    public async Task A_truncation_of_a_stale_reader_is_refused_and_many_states_are_forgotten_in_slices()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        for (var slice = 0; slice < 3; slice++)
            await Commit(Partition(0, 1, At(9, 9), [.. Enumerable.Range(slice * 15_000, 15_000).Select(i => State(_table, $"{i}", At(5, 1), "a"))], high: At(9, 9)));
        await Store.RaiseEpoch("shop", "silo-2", null, default);
        var refusal = await Assert.ThrowsAsync<StaleOwnerException>(() => Store.Truncate("shop", _epoch, _table.TableId, At(7, 1), default));
        Assert.True(refusal.EpochIsStale);
        Assert.NotNull((await Store.ReadStates([new(_table.TableId, "44999")], default))[0]);

        await Store.Truncate("shop", _epoch + 1, _table.TableId, At(7, 1), default);
        Assert.All(await Store.ReadStates([new(_table.TableId, "0"), new(_table.TableId, "22222"), new(_table.TableId, "44999")], default), Assert.Null);
    }

    [Fact]
    public async Task Each_slice_of_a_truncation_begins_where_the_one_before_ended()
    {
        await _stores.Scalar($"INSERT INTO cdc.entity_states SELECT {_table.TableId}, CASE i WHEN 1 THEN '' ELSE 'é' || i END, CASE WHEN i % 100 = 0 THEN 9 ELSE 5 END, 1, 1, false, '\\x0000' FROM generate_series(1, 20000) AS i");
        await using var control = NpgsqlDataSource.Create(_stores.Connection);
        await new PostgresCheckpointStore(control, _stores.Schemas, truncateSlice: 100).Truncate("shop", _epoch, _table.TableId, At(7, 1), default);
        Assert.Equal("200", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states"));

        // From the start each time, the dead rows of two hundred slices would be looked at two million times.
        await _stores.Scalar("SELECT pg_stat_force_next_flush()");
        var looks = long.Parse((await _stores.Scalar("SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'entity_states'"))!, CultureInfo.InvariantCulture);
        Assert.InRange(looks, 1, 400_000);
    }

    [Fact]
    public async Task A_truncation_waits_for_a_lock_longer_than_a_command_may_take()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(9, 9), [State(_table, "a", At(5, 1), "a")], high: At(9, 9)));
        await using var impatient = new ControlStores(_stores.Connection + ";Command Timeout=1");
        await using var connection = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("SELECT FROM cdc.entity_states FOR UPDATE", connection))
            await hold.ExecuteNonQueryAsync();
        var truncated = impatient.Checkpoints.Truncate("shop", _epoch, _table.TableId, At(7, 1), default);
        await _stores.SomebodyWaitsForALock();
        var patience = await Task.WhenAny(truncated, Task.Delay(TimeSpan.FromSeconds(2)));
        Assert.NotSame(truncated, patience);
        await transaction.RollbackAsync();
        await truncated;
        Assert.Equal("0", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
    }

    [Fact]
    public async Task A_lower_epoch_is_refused_whole()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Store.RaiseEpoch("shop", "silo-2", null, default);
        var refusal = await Assert.ThrowsAsync<StaleOwnerException>(() => Commit(Full(0, 1)));
        Assert.True(refusal.EpochIsStale);
        Assert.Empty(refusal.Partitions);
        Assert.Contains("it has epoch 1, but the current epoch is 2", refusal.Message, StringComparison.Ordinal);
        await NothingWasWritten();
    }

    [Fact]
    public async Task An_epoch_that_the_store_never_gave_is_refused()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Assert.ThrowsAsync<StaleOwnerException>(() => Store.Commit(new Checkpoint("shop", _epoch + 1, [Full(0, 1)]), default));
        await Assert.ThrowsAsync<StaleOwnerException>(() => Store.Commit(new Checkpoint("mall", 1, []), default));
        await NothingWasWritten();
    }

    [Fact]
    public async Task A_lower_generation_is_refused_whole_and_named()
    {
        foreach (var partition in (int[])[0, 1, 2, 1, 2])
            await Store.Claim("shop", partition, "silo-1", default);
        var refusal = await Assert.ThrowsAsync<StaleOwnerException>(() => Commit(Full(2, 1), Full(0, 1), Full(1, 1), Full(7, 1)));
        Assert.False(refusal.EpochIsStale);
        Assert.Equal([1, 2, 7], refusal.Partitions);
        await NothingWasWritten();

        await Commit(Full(2, 2), Full(0, 1), Full(1, 2));
        Assert.Equal("3", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
    }

    [Fact]
    public async Task The_newest_state_wins_whatever_comes_last()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(10), [State(_table, "a", At(10, 5), "newest"), State(_table, "b", At(10, 5), "old")]));
        await Commit(Partition(0, 1, At(10), [State(_table, "a", At(10, 4), "older"), State(_table, "b", At(11, 1), "newer")]));
        await Commit(Partition(0, 1, At(10), [State(_table, "a", At(9, 99), "oldest"), State(_table, "b", At(11, 1), "the same again")]));
        var states = await Store.ReadStates([new(_table.TableId, "a"), new(_table.TableId, "b")], default);
        Assert.Equal(["newest", "newer"], states.Select(Text));
    }

    [Fact]
    public async Task Progress_never_goes_back()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(10, 5), high: At(20, 7)));
        await Commit(Partition(0, 1, At(9, 99), high: At(20, 6)));
        Assert.Equal([new PartitionProgressRow(0, 1, At(10, 5), At(20, 7))], await _stores.ReadProgress("shop", default));
        await Commit(Partition(0, 1, At(10, 6), high: At(21, 1)));
        Assert.Equal([new PartitionProgressRow(0, 1, At(10, 6), At(21, 1))], await _stores.ReadProgress("shop", default));
    }

    [Fact]
    public async Task Dead_letters_stand_once_however_often_they_come()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        DeadLetter[] letters =
        [
            Letter("1", At(5), [9]), Letter("1", At(5), null), Letter("1", At(5), [9], sink: "files"), Letter("1", At(5), [9], topic: "other"),
            Letter("1", At(5, 2), [9]), Letter("2", At(5), [9]), Letter("1", At(5), [8], error: "un\0fit"),
        ];
        await Commit(Partition(0, 1, At(4), letters: letters));
        await Commit(Partition(0, 1, At(5), letters: letters));
        await Commit(Partition(0, 1, At(5), letters: [letters[1]]));
        Assert.Equal("7", await _stores.Scalar("SELECT count(*) FROM cdc.dead_letters"));
        Assert.Equal(
            "shop public.orders 1 5 2 events shop.public.orders \\x0102 \\x09 too large",
            await _stores.Scalar("SELECT concat_ws(' ', source, table_name, entity_key, commit_lsn, ordinal, sink, topic, event_key, event_value, error) FROM cdc.dead_letters WHERE ordinal = 2"));
        Assert.Equal("1", await _stores.Scalar("SELECT count(*) FROM cdc.dead_letters WHERE event_value IS NULL"));
        Assert.Equal("un\uFFFDfit", await _stores.Scalar("SELECT error FROM cdc.dead_letters WHERE event_value = '\\x08'"));
    }

    [Fact]
    public async Task Ten_thousand_states_go_into_one_checkpoint()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Store.Claim("shop", 1, "silo-1", default);
        var half = Enumerable.Range(0, 5000).Select(i => State(_table, $"{i}", At(7), $"value {i}"));
        var rest = Enumerable.Range(5000, 5000).Select(i => State(_table, $"{i}", At(7), $"value {i}"));
        await Commit(Partition(0, 1, At(7), half), Partition(1, 1, At(7), rest));
        var keys = Enumerable.Range(0, 10_000).Reverse().Select(i => new StateKey(_table.TableId, $"{i}")).ToList();
        var states = await Store.ReadStates(keys, default);
        Assert.Equal(keys.Select(k => $"value {k.Key}"), states.Select(Text));
    }

    [Fact]
    public async Task States_come_in_the_order_asked_with_gaps_where_nothing_is()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        var other = await _stores.Schemas.Register("mall", Orders("id"), default);
        var giant = new string('k', 50_000);
        await Commit(Partition(0, 1, At(1),
            [State(_table, "a", At(1), "A"), State(_table, "b", At(1), "B"), State(other, "a", At(1), "other A"), State(_table, giant, At(1), "giant"), State(_table, "é", At(1), "É")]));
        StateKey[] asked = [new(_table.TableId, "b"), new(_table.TableId, "?"), new(other.TableId, "a"), new(_table.TableId, "a"), new(other.TableId, "b"),
            new(_table.TableId, giant), new(_table.TableId, giant + "k"), new(_table.TableId, "b"), new(_table.TableId, "é")];
        var states = await Store.ReadStates(asked, default);
        Assert.Equal(["B", null, "other A", "A", null, "giant", null, "B", "É"], states.Select(s => s is null ? null : Text(s)));
        Assert.Empty(await Store.ReadStates([], default));
    }

    [Fact]
    public async Task Of_large_states_only_the_size_is_found_however_the_server_stores_them()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        var (random, same) = (string.Concat(Enumerable.Range(0, 4000).Select(_ => Guid.NewGuid().ToString("N"))), new string('x', 100_000));
        await Commit(Partition(0, 1, At(1),
            [State(_table, "a", At(1), "A"), State(_table, "random", At(1), random), State(_table, "same", At(1), same),
            ("gone", new EntityState(At(1), _table, default, true))]));
        StateKey[] asked = [new(_table.TableId, "random"), new(_table.TableId, "?"), new(_table.TableId, "a"), new(_table.TableId, "gone"), new(_table.TableId, "same")];
        var whole = await Store.ReadStates(asked, default);
        Assert.Equal([random, null, "A", same], whole.Where((_, i) => i != 3).Select(s => s is null ? null : Text(s)));
        var found = await Store.FindStates(asked, 8192, default);
        Assert.Equal(whole.Select(s => (long)(s?.Row.Size ?? 0)), found.Select(f => f.Bytes));
        Assert.Equal([null, null, "A", null], found.Where((_, i) => i != 3).Select(f => f.State is null ? null : Text(f.State)));
        Assert.True(found[3].State!.Deleted);
        Assert.Empty(await Store.FindStates([], 1, default));
    }

    [Fact]
    public async Task A_state_keeps_the_shape_it_was_stored_with()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(1), [State(_table, "a", At(1), "A")]));
        var wider = await _stores.Schemas.Register("shop", Orders("id", "more"), default);
        await Commit(Partition(0, 1, At(2), [State(wider, "b", At(2), "B")]));
        await using var other = new ControlStores(_stores.Connection);
        var states = await other.Checkpoints.ReadStates([new(_table.TableId, "a"), new(_table.TableId, "b")], default);
        Assert.Equal([1, 2], states.Select(s => s!.Table.Columns.Length));
    }

    [Fact]
    public async Task Reading_goes_by_the_index_whatever_the_statistics_say()
    {
        await Store.Claim("shop", 0, "silo-1", default);
        await Commit(Partition(0, 1, At(1), Enumerable.Range(0, 500).Select(i => State(_table, $"{i}", At(1), "x"))));
        await using var connection = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var read = new NpgsqlCommand("SELECT count(*) FROM cdc.read_states($1, $2)", connection);
        read.Parameters.Add(new() { Value = Enumerable.Repeat(_table.TableId, 400).ToArray() });
        read.Parameters.Add(new() { Value = Enumerable.Range(0, 400).Select(i => $"{i}").ToArray() });
        Assert.Equal(400L, await read.ExecuteScalarAsync());
        await using var count = new NpgsqlCommand("SELECT seq_scan || ' ' || idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'entity_states'", connection);
        Assert.Equal("0 400", await count.ExecuteScalarAsync());
    }

    private PartitionCheckpoint Full(int partition, long generation) =>
        Partition(partition, generation, At(9), [State(_table, $"of {partition}", At(9), "x")], [Letter($"of {partition}", At(9), [1])]);

    private Task<IReadOnlyList<EntityKey>> Commit(params PartitionCheckpoint[] partitions) => Store.Commit(new Checkpoint("shop", _epoch, partitions), default);

    private async Task NothingWasWritten()
    {
        Assert.Equal("0", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
        Assert.Equal("0", await _stores.Scalar("SELECT count(*) FROM cdc.dead_letters"));
        Assert.All(await _stores.ReadProgress("shop", default), p => Assert.Equal((ChangeVersion.None, ChangeVersion.None), (p.Progress, p.High)));
    }
}
