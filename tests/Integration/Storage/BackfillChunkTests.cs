using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Integration.Storage;

/// <summary>Snapshots of chunks in the control database: kept until the confirmed position of the source has passed their fence.</summary>
public sealed class BackfillChunkTests(ControlServer control)
{
    private static readonly ServerLog Log = new("a", 1, null);

    [Fact]
    public async Task Chunks_go_when_the_confirmed_position_has_passed_them()
    {
        await using var stores = await control.Migrated();
        Assert.Equal(Lsn.None, await stores.Backfills.Fence("shop", default));
        var numbers = new List<long> { await Add(stores, 100), await Add(stores, 200) };
        await stores.Backfills.AddChunk("mall", Chunk(50), default);
        await stores.Checkpoints.RaiseEpoch("shop", "silo-1", null, default);
        numbers.Add(await Add(stores, 300));
        Assert.Equal("100 200 300", await Fences(stores));
        await stores.Positions.Set("shop", 1, Log, new Lsn(99), default);
        numbers.Add(await Add(stores, 400));
        Assert.Equal("100 200 300 400", await Fences(stores));

        // What commits at the fence is not included, so a chunk is passed when all before its fence is confirmed.
        await stores.Positions.Set("shop", 1, Log, new Lsn(100), default);
        numbers.Add(await Add(stores, 500));
        Assert.Equal("200 300 400 500", await Fences(stores));
        await stores.Positions.Set("shop", 1, Log, new Lsn(499), default);
        numbers.Add(await Add(stores, 350));
        Assert.Equal("350 500", await Fences(stores));
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal(numbers.Count, numbers.Distinct().Count());

        await stores.Positions.Set("shop", 1, Log, new Lsn(2000), default);
        Assert.True(await Add(stores, 450) > numbers[^1]);
        Assert.Equal("450", await Fences(stores));
        Assert.Equal(new Lsn(500), await stores.Backfills.Fence("shop", default));
        Assert.Equal(new Lsn(50), await stores.Backfills.Fence("mall", default));
        Assert.Equal("50", await Fences(stores, "mall"));
    }

    [Fact]
    public async Task A_position_of_another_log_deletes_no_chunk()
    {
        await using var stores = await control.Migrated();
        await stores.Checkpoints.RaiseEpoch("shop", "silo-1", null, default);
        await stores.Positions.Set("shop", 1, Log, new Lsn(5000), default);
        await Add(stores, 5100);

        // The server is another one, whose log has lower positions. No reader has found that yet.
        await Add(stores, 120);
        await Add(stores, 130);
        Assert.Equal("120 130 5100", await Fences(stores));
        await stores.Positions.Reset("shop", 1, Log with { SystemIdentifier = "b" }, new Lsn(110), [], default);
        await Add(stores, 140);
        Assert.Equal("120 130 140 5100", await Fences(stores));
        await stores.Positions.Set("shop", 1, Log with { SystemIdentifier = "b" }, new Lsn(130), default);
        await Add(stores, 150);
        Assert.Equal("140 150 5100", await Fences(stores));
        Assert.Equal(new Lsn(5100), await stores.Backfills.Fence("shop", default));
    }

    [Fact]
    public async Task Chunks_are_added_from_many_sides_at_once()
    {
        await using var stores = await control.Migrated();
        await using var others = new ControlStores(stores.Connection);
        await stores.Checkpoints.RaiseEpoch("shop", "silo-1", null, default);
        var highest = 0L;
        for (var round = 1ul; round <= 20; round++)
        {
            await stores.Positions.Set("shop", 1, Log, new Lsn(round * 1000), default);
            var numbers = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Add(i % 2 == 0 ? stores : others, (round * 1000) + 1 + (ulong)i)));
            Assert.Equal(8, numbers.Distinct().Count());
            Assert.True(numbers.Min() > highest);
            highest = numbers.Max();
            Assert.Equal(new Lsn((round * 1000) + 8), await others.Backfills.Fence("shop", default));
            Assert.Equal("8", await stores.Scalar("SELECT count(*) FROM cdc.backfill_chunks"));
        }
    }

    [Fact]
    public async Task A_snapshot_may_have_many_open_transactions()
    {
        await using var stores = await control.Migrated();
        var open = Enumerable.Range(0, 50_000).Select(i => (1UL << 40) + (3 * (ulong)i)).ToArray();
        var snapshot = new TransactionSnapshot(open[0], ulong.MaxValue, open);
        var id = await stores.Backfills.AddChunk("shop", new ChunkSnapshot(snapshot, new Lsn(long.MaxValue)), default);
        Assert.Equal(snapshot, TransactionSnapshot.Parse((await stores.Scalar($"SELECT snapshot FROM cdc.backfill_chunks WHERE id = {id}"))!));
        Assert.Equal(new Lsn(long.MaxValue), await stores.Backfills.Fence("shop", default));
    }

    private static Task<long> Add(ControlStores stores, ulong fence) => stores.Backfills.AddChunk("shop", Chunk(fence), default);

    private static ChunkSnapshot Chunk(ulong fence) => new(new TransactionSnapshot(10, 20, 10, 14), new Lsn(fence));

    private static Task<string?> Fences(ControlStores stores, string source = "shop") =>
        stores.Scalar($"SELECT string_agg(fence::text, ' ' ORDER BY fence) FROM cdc.backfill_chunks WHERE source = '{source}'");
}
