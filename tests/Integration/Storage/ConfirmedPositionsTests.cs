using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Storage;

public class ConfirmedPositionsTests(ControlServer control)
{
    [Fact]
    public async Task Only_the_current_reader_stores_a_position()
    {
        await using var stores = await control.Migrated();
        Assert.Null(await stores.Positions.Find("shop", default));
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        Assert.Null(await stores.Positions.Find("shop", default));
        await stores.Positions.Set("shop", 1, "id", new Lsn(100), default);
        await stores.Checkpoints.RaiseEpoch("shop", "b", 1, default);
        var stale = await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Positions.Set("shop", 1, "id", new Lsn(200), default));
        Assert.True(stale.EpochIsStale);
        await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Positions.Reset("shop", 1, "id", new Lsn(200), default));
        Assert.Equal(new ConfirmedPosition("id", new Lsn(100), GapAccepted: false), await stores.Positions.Find("shop", default));
    }

    [Fact]
    public async Task A_gap_is_accepted_by_name_and_once()
    {
        await using var stores = await control.Migrated();
        var unknown = await Assert.ThrowsAsync<PostgresException>(() => stores.Scalar("SELECT cdc.accept_gap('shop')"));
        Assert.Contains("there is no source \"shop\"", unknown.MessageText, StringComparison.Ordinal);
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        await stores.Positions.Set("shop", 1, "id", new Lsn(100), default);
        await stores.Scalar("SELECT cdc.accept_gap('shop')");
        Assert.True((await stores.Positions.Find("shop", default))!.GapAccepted);
        await stores.Positions.Reset("shop", 1, "other", new Lsn(50), default);
        Assert.Equal(new ConfirmedPosition("other", new Lsn(50), GapAccepted: false), await stores.Positions.Find("shop", default));

        await stores.Scalar("UPDATE cdc.sources SET gap_accepted_at = now() - interval '2 hours'");
        Assert.False((await stores.Positions.Find("shop", default))!.GapAccepted);
    }

    [Fact]
    public async Task A_reset_deletes_everything_of_the_source_and_nothing_of_the_others()
    {
        await using var stores = await control.Migrated();
        foreach (var source in (string[])["shop", "mall"])
        {
            await stores.Checkpoints.RaiseEpoch(source, "a", null, default);
            await stores.Checkpoints.FixPartitions(source, 4, default);
            await stores.Checkpoints.Claim(source, 3, "a", default);
            var table = await stores.Schemas.Register(source, SampleStates.Orders("id"), default);
            await stores.Schemas.Record(source, 7, new RelationRecord(ChangeVersion.None, table, EntityMode.Row, []), default);
            await stores.Scalar($"INSERT INTO cdc.entity_states (table_id, key, commit_lsn, ordinal, schema_version, deleted) VALUES ({table.TableId}, '1', 10, 1, 1, true)");
            await stores.Scalar($"UPDATE cdc.partitions SET progress_lsn = 10, high_lsn = 10 WHERE source = '{source}'");
        }

        await stores.Positions.Reset("shop", 1, "id", new Lsn(100), default);
        Assert.Equal("1", await stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
        Assert.Equal("mall", await stores.Scalar("SELECT string_agg(source, ',') FROM cdc.relations"));
        Assert.Equal("mall 1 10 10,shop 2 0 0", await stores.Scalar("SELECT string_agg(concat_ws(' ', source, generation, progress_lsn, high_lsn), ',' ORDER BY source) FROM cdc.partitions"));
        Assert.Equal(new PartitionClaim(3, ChangeVersion.None, ChangeVersion.None), await stores.Checkpoints.Claim("shop", 3, "b", default));
    }
}
