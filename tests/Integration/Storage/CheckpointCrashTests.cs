using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>A checkpoint is stopped in the middle, at a state whose row another session has locked. Then something happens.</summary>
public sealed class CheckpointCrashTests(ControlServer control) : IAsyncLifetime
{
    private ControlStores _stores = null!;
    private TableSchema _table = null!;
    private NpgsqlConnection _obstacle = null!;
    private NpgsqlTransaction _obstruction = null!;

    private ICheckpointStore Store => _stores.Checkpoints;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.BeginShop();
        await Store.Commit(Offered(At(1), "before"), default);
        _obstacle = new NpgsqlConnection(_stores.Connection);
        await _obstacle.OpenAsync();
        _obstruction = await _obstacle.BeginTransactionAsync();
        await using var hold = new NpgsqlCommand("SELECT FROM cdc.entity_states WHERE key = '4999' FOR UPDATE", _obstacle);
        await hold.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _obstacle.DisposeAsync();
        await _stores.DisposeAsync();
    }

    [Fact]
    public async Task A_cancelled_checkpoint_leaves_nothing()
    {
        using var cancellation = new CancellationTokenSource();
        var commit = Store.Commit(Offered(At(2), "after"), cancellation.Token);
        await _stores.SomebodyWaitsForALock();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => commit);
        await _obstruction.RollbackAsync();
        await AllIsAsBefore();
        await Store.Commit(Offered(At(2), "after"), default);
        Assert.Equal("after", Text((await Store.ReadStates([new(_table.TableId, "0")], default))[0]));
    }

    [Fact]
    public async Task A_checkpoint_whose_session_dies_leaves_nothing()
    {
        var commit = Store.Commit(Offered(At(2), "after"), default);
        await _stores.SomebodyWaitsForALock();
        await PostgresServer.Execute(_stores.Connection, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => commit);
        await _obstruction.RollbackAsync();
        await AllIsAsBefore();
    }

    [Fact]
    public async Task A_new_epoch_does_not_wait_for_a_checkpoint_under_way_which_is_then_refused()
    {
        var commit = Store.Commit(Offered(At(2), "after"), default);
        await _stores.SomebodyWaitsForALock();
        Assert.Equal(2, await Store.RaiseEpoch("shop", "silo-2", null, default).WaitAsync(TimeSpan.FromSeconds(10)));
        await _obstruction.RollbackAsync();
        await Assert.ThrowsAsync<StaleOwnerException>(() => commit);
        await AllIsAsBefore();
    }

    [Fact]
    public async Task A_new_owner_of_a_partition_does_not_wait_for_a_checkpoint_under_way_which_is_then_refused()
    {
        var commit = Store.Commit(Offered(At(2), "after"), default);
        await _stores.SomebodyWaitsForALock();
        Assert.Equal(new PartitionClaim(2, At(1), At(1)), await Store.Claim("shop", 0, "silo-2", default).WaitAsync(TimeSpan.FromSeconds(10)));
        await _obstruction.RollbackAsync();
        var refusal = await Assert.ThrowsAsync<StaleOwnerException>(() => commit);
        Assert.Equal([0], refusal.Partitions);
        Assert.Equal("5000 1 1", await _stores.Scalar("SELECT concat_ws(' ', count(*), min(commit_lsn), max(commit_lsn)) FROM cdc.entity_states"));
    }

    [Fact]
    public async Task A_new_owner_waits_for_a_checkpoint_that_is_past_its_fence_and_sees_it()
    {
        await _obstruction.RollbackAsync();
        await using var committing = await _obstacle.BeginTransactionAsync();
        await using (var advance = new NpgsqlCommand("SELECT cdc.advance('shop', 1, '{0}', '{1}', '{7}', '{1}', '{8}', '{1}')", _obstacle))
            await advance.ExecuteNonQueryAsync();
        var claim = Store.Claim("shop", 0, "silo-2", default);
        await _stores.SomebodyWaitsForALock();
        await committing.CommitAsync();
        Assert.Equal(new PartitionClaim(2, At(7), At(8)), await claim);
    }

    [Fact]
    public async Task A_checkpoint_is_durable_even_where_the_database_is_not_by_default()
    {
        await PostgresServer.Execute(_stores.Connection, "ALTER ROLE postgres IN DATABASE \"" + new NpgsqlConnectionStringBuilder(_stores.Connection).Database + "\" SET synchronous_commit = off");
        await using var connection = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        Assert.Equal("off", await Show(connection));
        await using var fence = new NpgsqlCommand("SELECT cdc.fence('shop', 1, '{0}', '{1}')", connection);
        await fence.ExecuteNonQueryAsync();
        Assert.Equal("on", await Show(connection));
        await transaction.RollbackAsync();
        Assert.Equal("off", await Show(connection));
    }

    private static async Task<object?> Show(NpgsqlConnection connection)
    {
        await using var show = new NpgsqlCommand("SHOW synchronous_commit", connection);
        return await show.ExecuteScalarAsync();
    }

    private Checkpoint Offered(ChangeVersion version, string text) => new("shop", 1,
    [
        Partition(0, 1, version, Enumerable.Range(0, 5000).Select(i => State(_table, $"{i}", version, text)), [Letter("0", version, [1])]),
    ]);

    private async Task AllIsAsBefore()
    {
        Assert.Equal("5000 1 1", await _stores.Scalar("SELECT concat_ws(' ', count(*), min(commit_lsn), max(commit_lsn)) FROM cdc.entity_states"));
        Assert.Equal("1", await _stores.Scalar("SELECT count(*) FROM cdc.dead_letters"));
        Assert.Equal([new PartitionProgressRow(0, 1, At(1), At(1))], await _stores.ReadProgress("shop", default));
    }
}
