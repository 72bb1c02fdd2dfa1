using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>A stored state that cannot be read keeps its version and nobody else.</summary>
public sealed class DamagedStateTests(ControlServer control) : IAsyncLifetime
{
    private ControlStores _stores = null!;
    private TableSchema _table = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        await _stores.Scalar("ALTER TABLE cdc.entity_states ALTER \"row\" SET STORAGE EXTERNAL");
        _table = await _stores.BeginShop();
        await Commit(5, new string('x', 10_000));
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Theory]
    [InlineData("\"row\" = '\\x0001'")]
    [InlineData("\"row\" = '\\x00013f'")]
    [InlineData("\"row\" = '\\x000174ffffffff'")]
    [InlineData("\"row\" = '\\x00026e6e'")]
    [InlineData("schema_version = 99")]
    public async Task Content_that_has_no_meaning(string damage)
    {
        await _stores.Scalar($"UPDATE cdc.entity_states SET {damage} WHERE key = '7'");
        await OnlySevenIsDamaged();
    }

    [Fact]
    public async Task Content_that_the_server_cannot_read()
    {
        Assert.SkipWhen(await _stores.Scalar("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'") == "0", "The server has no extension pg_surgery, with which the test damages a row.");
        await _stores.Scalar("CREATE EXTENSION pg_surgery");
        await PostgresServer.Execute(_stores.Connection, """
            DO $$
            DECLARE
                toast regclass = (SELECT reltoastrelid FROM pg_class WHERE oid = 'cdc.entity_states'::regclass);
                damaged tid[];
            BEGIN
                -- Twenty rows of the same size were written in the order of their keys: those of 0, 1, 10, 11, …, 19, 2, …, 9.
                EXECUTE format('SELECT array_agg(ctid) FROM %s WHERE chunk_id = (SELECT DISTINCT chunk_id FROM %s ORDER BY 1 OFFSET 17 LIMIT 1)', toast, toast) INTO damaged;
                PERFORM heap_force_kill(toast, damaged);
            END $$
            """);
        await OnlySevenIsDamaged();
    }

    private async Task OnlySevenIsDamaged()
    {
        await using var other = new ControlStores(_stores.Connection);
        StateKey[] keys = [.. Enumerable.Range(0, 20).Select(i => new StateKey(_table.TableId, $"{i}")), new(_table.TableId, "none")];
        var states = await other.Checkpoints.ReadStates(keys, default);
        Assert.Null(states[20]);
        Assert.All(states[..20], s => Assert.Equal(At(5), s!.Version));
        Assert.Equal([7], Enumerable.Range(0, 20).Where(i => states[i]!.Absence == RowAbsence.Unreadable));
        Assert.Equal([7], Enumerable.Range(0, 20).Where(i => !states[i]!.Row.IsPresent));
        Assert.Equal(RowAbsence.Unreadable, (await other.Queries.Find("shop", new EntityKey("public.orders", "7"), default))!.Absence);

        // The next change of the row replaces what is damaged.
        await Commit(6, "whole");
        Assert.Equal("whole", Text((await other.Checkpoints.ReadStates([keys[7]], default))[0]));
    }

    private Task<IReadOnlyList<EntityKey>> Commit(ulong lsn, string text) => _stores.Checkpoints.Commit(
        new Checkpoint("shop", 1, [Partition(0, 1, At(lsn), Enumerable.Range(0, 20).Select(i => State(_table, $"{i}", At(lsn), text)))]), default);
}
