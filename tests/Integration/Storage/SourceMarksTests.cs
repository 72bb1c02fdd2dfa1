using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Storage;

public class SourceMarksTests(ControlServer control)
{
    [Fact]
    public async Task A_mark_is_the_current_readers_alone()
    {
        await using var stores = await control.Migrated();
        Assert.Null(await stores.Marks.Find("shop", default));
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        Assert.Null(await stores.Marks.Find("shop", default));
        await stores.Marks.Set("shop", 1, "id", new Lsn(100), default);
        await stores.Checkpoints.RaiseEpoch("shop", "b", 1, default);
        var stale = await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Marks.Set("shop", 1, "id", new Lsn(200), default));
        Assert.True(stale.EpochIsStale);
        await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Marks.BeginAnew("shop", 1, "id", new Lsn(200), default));
        Assert.Equal(new SourceMark("id", new Lsn(100), GapAccepted: false), await stores.Marks.Find("shop", default));
    }

    [Fact]
    public async Task A_gap_is_accepted_by_name_and_once()
    {
        await using var stores = await control.Migrated();
        var unknown = await Assert.ThrowsAsync<PostgresException>(() => stores.Scalar("SELECT cdc.accept_gap('shop')"));
        Assert.Contains("there is no source \"shop\"", unknown.MessageText, StringComparison.Ordinal);
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        await stores.Marks.Set("shop", 1, "id", new Lsn(100), default);
        await stores.Scalar("SELECT cdc.accept_gap('shop')");
        Assert.True((await stores.Marks.Find("shop", default))!.GapAccepted);
        await stores.Marks.BeginAnew("shop", 1, "other", new Lsn(50), default);
        Assert.Equal(new SourceMark("other", new Lsn(50), GapAccepted: false), await stores.Marks.Find("shop", default));

        await stores.Scalar("UPDATE cdc.sources SET gap_accepted_at = now() - interval '2 hours'");
        Assert.False((await stores.Marks.Find("shop", default))!.GapAccepted);
    }

    [Fact]
    public async Task Beginning_anew_leaves_nothing_of_the_source_and_all_of_the_others()
    {
        await using var stores = await control.Migrated();
        foreach (var source in (string[])["shop", "mall"])
        {
            await stores.Checkpoints.RaiseEpoch(source, "a", null, default);
            await stores.Checkpoints.FixPartitions(source, 4, default);
            await stores.Checkpoints.Claim(source, 3, "a", default);
            var table = await stores.Schemas.Register(source, Shapes.Orders("id"), default);
            await stores.Schemas.Record(source, 7, new RelationRecord(ChangeVersion.None, table, EntityMode.Row, []), default);
            await stores.Scalar($"INSERT INTO cdc.entity_states (table_id, key, commit_lsn, ordinal, schema_version, deleted) VALUES ({table.TableId}, '1', 10, 1, 1, true)");
            await stores.Scalar($"UPDATE cdc.partitions SET progress_lsn = 10, high_lsn = 10 WHERE source = '{source}'");
        }

        await stores.Marks.BeginAnew("shop", 1, "id", new Lsn(100), default);
        Assert.Equal("1", await stores.Scalar("SELECT count(*) FROM cdc.entity_states"));
        Assert.Equal("mall", await stores.Scalar("SELECT string_agg(source, ',') FROM cdc.relations"));
        Assert.Equal("mall 1 10 10,shop 2 0 0", await stores.Scalar("SELECT string_agg(concat_ws(' ', source, generation, progress_lsn, high_lsn), ',' ORDER BY source) FROM cdc.partitions"));
        Assert.Equal(new PartitionClaim(3, ChangeVersion.None, ChangeVersion.None), await stores.Checkpoints.Claim("shop", 3, "b", default));
    }
}
