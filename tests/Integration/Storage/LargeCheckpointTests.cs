using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Checkpoints that are too large for one transaction, and rows that are too large for the store.</summary>
public sealed class LargeCheckpointTests(ControlServer control) : IAsyncLifetime
{
    private ControlStores _stores = null!;
    private NpgsqlDataSource _source = null!;
    private TableSchema _table = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _source = NpgsqlDataSource.Create(_stores.Connection);
        _table = await _stores.BeginShop();
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _stores.DisposeAsync();
    }

    [Fact]
    public async Task A_huge_cut_fits_a_short_time_limit_on_a_slow_server()
    {
        await PostgresServer.Execute(_stores.Connection, """
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON cdc.entity_states FOR EACH STATEMENT EXECUTE FUNCTION slow();
            """);
        await using var impatient = new ControlStores(_stores.Connection + ";Command Timeout=1");
        await impatient.Checkpoints.Commit(Offered(At(9), 40_000), default);
        Assert.Equal("40000 3", await _stores.Scalar("SELECT count(*) || ' ' || count(DISTINCT xmin::text) FROM cdc.entity_states"));
        Assert.Equal([new PartitionProgressRow(0, 1, At(9), At(9))], await _stores.ReadProgress("shop", default));
    }

    [Fact]
    public async Task The_progress_of_a_cut_moves_with_its_last_part_and_dead_letters_come_first()
    {
        var store = new PostgresCheckpointStore(_source, _stores.Schemas, limits: new CheckpointLimits { MostRows = 2000 });
        await using var obstacle = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await obstacle.OpenAsync();
        await _stores.Scalar($"INSERT INTO cdc.entity_states VALUES ({_table.TableId}, '9999', 1, 1, 1, false, NULL)");
        await using var transaction = await obstacle.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("SELECT FROM cdc.entity_states WHERE key = '9999' FOR UPDATE", obstacle))
            await hold.ExecuteNonQueryAsync();
        using var cancellation = new CancellationTokenSource();
        var commit = store.Commit(Offered(At(9), 10_000), cancellation.Token);
        await _stores.SomebodyWaitsForALock();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => commit);
        await transaction.RollbackAsync();

        // Four of five parts of states are durable. A new activation skips nothing by its progress, and no state is above the high mark.
        Assert.Equal([new PartitionProgressRow(0, 1, ChangeVersion.None, At(9))], await _stores.ReadProgress("shop", default));
        Assert.Equal("8000 1", await _stores.Scalar("SELECT (SELECT count(*) FROM cdc.entity_states WHERE commit_lsn = 9) || ' ' || (SELECT count(*) FROM cdc.dead_letters)"));

        await store.Commit(Offered(At(9), 10_000), default);
        Assert.Equal([new PartitionProgressRow(0, 1, At(9), At(9))], await _stores.ReadProgress("shop", default));
        Assert.Equal("10000 1", await _stores.Scalar("SELECT (SELECT count(*) FROM cdc.entity_states WHERE commit_lsn = 9) || ' ' || (SELECT count(*) FROM cdc.dead_letters)"));
    }

    [Fact]
    public async Task A_part_of_a_stale_owner_is_refused()
    {
        var store = new PostgresCheckpointStore(_source, _stores.Schemas, limits: new CheckpointLimits { MostRows = 2000 });
        await store.Claim("shop", 0, "silo-2", default);
        await Assert.ThrowsAsync<StaleOwnerException>(() => store.Commit(Offered(At(9), 10_000), default));
        Assert.Equal("0", await _stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
        Assert.Equal("0", await _stores.Scalar("SELECT count(*) FROM cdc.dead_letters"));
    }

    [Fact]
    public async Task A_row_too_large_for_the_store_leaves_its_version_and_its_neighbours_go_on()
    {
        var store = new PostgresCheckpointStore(_source, _stores.Schemas, limits: new CheckpointLimits { MostOfOneRow = 1000 });
        var (large, small) = (State(_table, "large", At(5), new string('x', 1001)), State(_table, "small", At(5), "x"));
        Assert.Equal([new EntityKey("public.orders", "large")], await store.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(5), [large, small])]), default));
        Assert.Equal([new PartitionProgressRow(0, 1, At(5), At(5))], await _stores.ReadProgress("shop", default));
        StateKey[] keys = [new(_table.TableId, "large"), new(_table.TableId, "small")];
        var states = await store.ReadStates(keys, default);
        Assert.Equal([(At(5), RowAbsence.TooLarge, false), (At(5), RowAbsence.None, true)], states.Select(s => (s!.Version, s.Absence, s.Row.IsPresent)));

        Assert.Empty(await store.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(6), [State(_table, "large", At(6), "small again")])]), default));
        Assert.Equal("small again", Text((await store.ReadStates(keys, default))[0]));
    }

    [Fact]
    public async Task The_largest_row_that_is_stored_fits_into_a_statement()
    {
        var text = new string('x', CheckpointLimits.Default.MostOfOneRow - 1000);
        Assert.Empty(await _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(5), [State(_table, "large", At(5), text)])]), default));
        var state = (await _stores.Checkpoints.ReadStates([new(_table.TableId, "large")], default))[0]!;
        Assert.Equal((RowAbsence.None, text.Length + 7), (state.Absence, state.Row.Size));
    }

    private Checkpoint Offered(ChangeVersion version, int states) => new("shop", 1,
    [
        Partition(0, 1, version, Enumerable.Range(0, states).Select(i => State(_table, $"{i}", version, "value")), [Letter("0", version, [1])]),
    ]);
}
