using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>A silo is frozen, or its host is gone, in the middle of a checkpoint. Its successor must not wait for it.</summary>
public sealed class HalfSentCheckpointTests(ControlServer control) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(12);

    private ControlStores _stores = null!;
    private TableSchema _table = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task The_successor_takes_over_at_once_writes_the_same_states_within_seconds_and_the_frozen_one_is_refused()
    {
        await using var relay = new Relay(control.Server.Port);
        await using var frozen = new ControlStores(new NpgsqlConnectionStringBuilder(_stores.Connection) { Port = relay.Port }.ConnectionString);
        await frozen.Checkpoints.Commit(Offered(1, 1, At(1), 1, "first"), default);
        relay.FreezeAfter(600_000);
        var halfSent = frozen.Checkpoints.Commit(Offered(1, 1, At(2), 5000, "frozen"), default);
        await _stores.SomeSession("backend_xid IS NOT NULL AND wait_event = 'ClientRead'");

        Assert.Equal(2, await _stores.Checkpoints.RaiseEpoch("shop", "silo-2", null, default).WaitAsync(TimeSpan.FromSeconds(1)));
        Assert.Equal(new PartitionClaim(2, At(1), At(1)), await _stores.Checkpoints.Claim("shop", 0, "silo-2", default).WaitAsync(TimeSpan.FromSeconds(1)));
        await _stores.Checkpoints.Commit(Offered(2, 2, At(2), 5000, "successor"), default).WaitAsync(Patience);

        relay.Resume();
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => halfSent);
        await Assert.ThrowsAsync<StaleOwnerException>(() => frozen.Checkpoints.Commit(Offered(1, 1, At(3), 5000, "frozen"), default));
        Assert.All(await _stores.Checkpoints.ReadStates([new(_table.TableId, "0"), new(_table.TableId, "4999")], default), s => Assert.StartsWith("successor", Text(s), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_session_that_is_frozen_between_its_fence_and_its_end_is_ended_by_who_waits_for_it()
    {
        await using var session = new NpgsqlConnection(_stores.Connection + ";Application Name=cdc;Pooling=false");
        await session.OpenAsync();
        await using var transaction = await session.BeginTransactionAsync();
        await using var fence = new NpgsqlCommand("SELECT cdc.fence('shop', 1, '{0}', '{1}')", session);
        await fence.ExecuteNonQueryAsync();
        var (raised, claimed) = (_stores.Checkpoints.RaiseEpoch("shop", "silo-2", null, default), _stores.Checkpoints.Claim("shop", 0, "silo-2", default));
        Assert.Equal(2, await raised.WaitAsync(Patience));
        Assert.Equal(2, (await claimed.WaitAsync(Patience)).Generation);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => fence.ExecuteNonQueryAsync());
    }

    [Fact]
    public async Task Sessions_of_the_pools_have_the_limits_of_the_server()
    {
        foreach (var made in (string[])[ControlConnection.ForStore(_stores.Connection), ControlConnection.ForQueries(_stores.Connection), ControlDatabase.OrleansConnection(_stores.Connection)])
        {
            await using var connection = new NpgsqlConnection(made + ";Pooling=false");
            await connection.OpenAsync();
            await using var show = new NpgsqlCommand(
                "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'tcp_keepalives_idle')",
                connection);
            Assert.Equal("10000 30000 300000 5", await show.ExecuteScalarAsync());
        }
    }

    private Checkpoint Offered(long epoch, long generation, ChangeVersion version, int states, string text) => new("shop", epoch,
    [
        Partition(0, generation, version, Enumerable.Range(0, states).Select(i => State(_table, $"{i}", version, text + new string('.', 100)))),
    ]);
}
