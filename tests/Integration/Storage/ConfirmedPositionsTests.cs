using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Storage;

public class ConfirmedPositionsTests(ControlServer control)
{
    private static readonly ServerLog Log = new("id", 2, new Lsn(70));

    [Fact]
    public async Task Only_the_current_reader_stores_a_position()
    {
        await using var stores = await control.Migrated();
        Assert.Null(await stores.Positions.Find("shop", default));
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        Assert.Null(await stores.Positions.Find("shop", default));
        await stores.Positions.Set("shop", 1, Log, new Lsn(100), default);
        await stores.Checkpoints.RaiseEpoch("shop", "b", 1, default);
        var stale = await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Positions.Set("shop", 1, Log, new Lsn(200), default));
        Assert.True(stale.EpochIsStale);
        await Assert.ThrowsAsync<StaleOwnerException>(() => stores.Positions.Reset("shop", 1, Log, new Lsn(200), [], default));
        Assert.Equal(new ConfirmedPosition(Log, new Lsn(100), GapAccepted: false), await stores.Positions.Find("shop", default));
    }

    [Fact]
    public async Task A_position_has_its_timeline_and_what_may_have_been_delivered_after_it()
    {
        await using var stores = await control.Migrated();
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        await stores.Positions.Set("shop", 1, Log, new Lsn(100), default);
        Assert.Equal((Log, new Lsn(100)), await Reached());

        // Progress is stored more often than the confirmed position, and states before the progress.
        await stores.Checkpoints.Claim("shop", 3, "a", default);
        await stores.Scalar("UPDATE cdc.partitions SET progress_lsn = 110, high_lsn = 110");
        Assert.Equal((Log, new Lsn(111)), await Reached());
        await stores.Checkpoints.Claim("shop", 4, "a", default);
        await stores.Scalar("UPDATE cdc.partitions SET high_lsn = 120 WHERE partition = 4");
        Assert.Equal((Log, new Lsn(121)), await Reached());

        // Where the same timeline begins is not forgotten when the server does not say it for once.
        await stores.Positions.Set("shop", 1, Log with { Begin = null }, new Lsn(130), default);
        Assert.Equal((Log, new Lsn(130)), await Reached());
        await stores.Positions.Set("shop", 1, new ServerLog("id", 3, null), new Lsn(130), default);
        Assert.Equal((new ServerLog("id", 3, null), new Lsn(130)), await Reached());

        // As an earlier version of the product has stored it.
        await stores.Scalar("UPDATE cdc.sources SET timeline = NULL");
        Assert.Equal((new ServerLog("id", 0, null), new Lsn(130)), await Reached());

        async Task<(ServerLog, Lsn)> Reached() => await stores.Positions.Find("shop", default) is { } found ? (found.Log, found.Reached) : default;
    }

    [Fact]
    public async Task A_reset_that_is_interrupted_still_shows_the_gap()
    {
        await using var stores = await control.Migrated();
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        await stores.Checkpoints.FixPartitions("shop", 4, default);
        await stores.Positions.Set("shop", 1, Log, new Lsn(100), default);
        await stores.Checkpoints.Claim("shop", 3, "a", default);
        await stores.Scalar("UPDATE cdc.partitions SET progress_lsn = 110, high_lsn = 110");
        await stores.Scalar("SELECT cdc.accept_gap('shop')");
        await stores.Schemas.Register("shop", SampleStates.Orders("id"), default);
        await stores.Scalar("ALTER TABLE cdc.entity_states RENAME TO away");
        await Assert.ThrowsAsync<PostgresException>(() => stores.Positions.Reset("shop", 1, Log with { Timeline = 3 }, new Lsn(90), [], default));
        Assert.Equal(new ConfirmedPosition(Log, new Lsn(100), GapAccepted: true) { Delivered = new Lsn(111) }, await stores.Positions.Find("shop", default));
        await stores.Scalar("ALTER TABLE cdc.away RENAME TO entity_states");
        await stores.Positions.Reset("shop", 1, Log with { Timeline = 3 }, new Lsn(90), [], default);
        Assert.Equal(new ConfirmedPosition(Log with { Timeline = 3 }, new Lsn(90), GapAccepted: false), await stores.Positions.Find("shop", default));
    }

    [Fact]
    public async Task A_gap_is_accepted_by_name_and_once()
    {
        await using var stores = await control.Migrated();
        var unknown = await Assert.ThrowsAsync<PostgresException>(() => stores.Scalar("SELECT cdc.accept_gap('shop')"));
        Assert.Contains("there is no source \"shop\"", unknown.MessageText, StringComparison.Ordinal);
        await stores.Checkpoints.RaiseEpoch("shop", "a", null, default);
        await stores.Positions.Set("shop", 1, Log, new Lsn(100), default);
        await stores.Scalar("SELECT cdc.accept_gap('shop')");
        Assert.True((await stores.Positions.Find("shop", default))!.GapAccepted);
        await stores.Positions.Reset("shop", 1, Log with { SystemIdentifier = "other" }, new Lsn(50), [], default);
        Assert.Equal(new ConfirmedPosition(Log with { SystemIdentifier = "other" }, new Lsn(50), GapAccepted: false), await stores.Positions.Find("shop", default));

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
            await stores.Checkpoints.Commit(new Checkpoint(source, 1, [SampleStates.Parked(3, 1, "1", 10)]), default);
        }

        await stores.Positions.Reset("shop", 1, Log, new Lsn(100), [], default);
        Assert.Equal("1", await stores.Scalar("SELECT count(*) FROM cdc.entity_states"));

        // What was parked cannot be ordered among what comes then.
        Assert.Equal("mall", await stores.Scalar("SELECT string_agg(source, ',') FROM cdc.parked_events JOIN cdc.parked_entities USING (source, sink, table_name, key_id)"));
        Assert.Equal("shop other 1", await stores.Scalar("SELECT string_agg(concat_ws(' ', source, sink, entity_key), ',') FROM cdc.dead_letters WHERE error LIKE '%gap%'"));
        Assert.Equal("mall", await stores.Scalar("SELECT string_agg(source, ',') FROM cdc.relations"));
        Assert.Equal("mall 1 10 10,shop 3 0 0", await stores.Scalar("SELECT string_agg(concat_ws(' ', source, generation, progress_lsn, high_lsn), ',' ORDER BY source) FROM cdc.partitions"));
        Assert.Equal(new PartitionClaim(4, ChangeVersion.None, ChangeVersion.None), await stores.Checkpoints.Claim("shop", 3, "b", default));
    }
}
