using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>What a replay reads from a journal: which entities changed, and the changes of each.</summary>
public sealed class JournalHistoryStoreTests(ControlServer control) : IAsyncLifetime
{
    private static readonly JournalWindow Late = new() { SinceLsn = new Lsn(100) };

    private ControlStores _stores = null!;
    private TableSchema _table = null!;

    private IJournalHistories Histories => _stores.Histories;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _table = await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task Every_entity_of_a_window_is_found_once_where_it_changed_first()
    {
        var random = new Random(7);
        var rows = Enumerable.Range(1, 400).Select(i => (Key: $"k{random.Next(60)}", Lsn: (ulong)i)).ToList();
        foreach (var segment in rows.Chunk(100))
        {
            await Commit([.. segment.Select(r => Row(r.Key, r.Lsn)), new JournalRow { Change = Change("", segment[^1].Lsn, ChangeOperation.Truncate, 2) }]);
            await Roll();
        }

        var last = await Histories.Last("shop", "public.orders", default);
        Assert.Equal(new JournalPosition(4, At(400, 2)), last);
        foreach (var (window, meant) in new[]
        {
            (JournalWindow.All, rows), (Late, rows.Where(r => r.Lsn >= 100)), (Late with { UntilLsn = new Lsn(250) }, rows.Where(r => r.Lsn is >= 100 and < 250)),
            (new JournalWindow { SinceTime = DateTimeOffset.FromUnixTimeSeconds(150), UntilTime = DateTimeOffset.FromUnixTimeSeconds(301) }, rows.Where(r => r.Lsn is >= 150 and < 301)),
        })
        {
            Assert.Equal(meant.Select(r => r.Key).Distinct(), await Starts(last, window, 37));
            Assert.Equal(meant.Count(), await Histories.Count("shop", "public.orders", null, window, default));
            Assert.Equal(meant.Count(r => r.Key is "k1" or "k2"), await Histories.Count("shop", "public.orders", ["k1", "k2", "none"], window, default));
        }

        Assert.Equal(rows.Take(150).Select(r => r.Key).Distinct(), await Starts(new JournalPosition(2, At(150)), JournalWindow.All, 1000));
        Assert.Equal((JournalPosition.Start, 0L), (await Histories.Last("shop", "public.none", default), await Histories.Count("shop", "public.none", null, JournalWindow.All, default)));
        Assert.Null((await Histories.Starts("shop", "public.none", JournalPosition.Start, last, JournalWindow.All, 10, default)).After);
    }

    [Fact]
    public async Task Histories_of_several_entities_come_in_pages_over_all_segments()
    {
        await Commit([.. Enumerable.Range(1, 5).SelectMany(i => new[] { Row("a", (ulong)i * 10), Row("b", ((ulong)i * 10) + 1) })]);
        await Roll();
        await Commit(Row("a", 60), Row("a", 70), Row("c", 71), Row("a", 80));
        var places = new List<HistoryPlace> { new("a", At(70)), new("b", At(999)), new("none", At(999)), new("c", At(999)) };
        Assert.Equal(
            ["a: 10 20 30 40 50 60 70", "b: 11 21 31 41 51", "none: ", "c: 71"], await All(places, JournalWindow.All, 2, long.MaxValue));
        Assert.Equal(
            ["a: 10 20 30 40 50 60 70", "b: 11 21 31 41 51", "none: ", "c: 71"], await All(places, JournalWindow.All, 100, 1));

        // The last change of an entity follows, if it is behind the window.
        var window = new JournalWindow { SinceLsn = new Lsn(20), UntilLsn = new Lsn(41) };
        Assert.Equal(["a: 20 30 40 +70", "b: 21 31 +51", "none: ", "c: "], await All(places, window, 2, long.MaxValue));
        Assert.Equal(["a: 20 30 40 50 60 70", "b: 21 31 41 51", "none: ", "c: 71"], await All(places, window with { UntilLsn = new Lsn(90) }, 2, long.MaxValue));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(100)]
    public async Task A_truncation_is_a_deletion_of_each_entity_that_existed(int most)
    {
        await Commit(Row("a", 10), Truncate(20), Truncate(21), Row("a", 30), Delete("a", 40), Truncate(50), Row("b", 51), Row("a", 60));
        await Roll();
        await Commit(Truncate(70), Row("c", 71));
        var places = new List<HistoryPlace> { new("a", At(999)), new("b", At(999)), new("c", At(999)) };
        Assert.Equal(["a: 10 20d 30 40d 60 70d", "b: 51 70d", "c: 71"], await All(places, JournalWindow.All, most, long.MaxValue));
        Assert.Equal(["a: 10 20d 30 40d 60", "b: 51", "c: "], await All([.. places.Select(p => p with { UpTo = At(65) })], JournalWindow.All, most, long.MaxValue));
        Assert.Equal(["a: 10 20d +70d", "b: ", "c: "], await All(places, new JournalWindow { UntilLsn = new Lsn(30) }, most, long.MaxValue));

        // The deletion has the row that was deleted.
        var page = (await Histories.Histories("shop", "public.orders", [new HistoryPlace("b", At(999))], JournalWindow.All, 100, long.MaxValue, default))[0];
        Assert.Equal(("public.orders", "b"), (page.Changes[1].Change.Entity.Table, page.Changes[1].Change.Entity.Key));
        Assert.Equal(page.Changes[0].After.ToStorage(), page.Changes[1].Before.ToStorage());
    }

    [Fact]
    public async Task Changes_of_an_earlier_log_come_first_although_their_versions_are_higher()
    {
        await Commit(Row("a", 500), Row("a", 600));
        await _stores.Positions.Set("shop", 1, new ServerLog("server", 1, null), new Lsn(600), default);
        await _stores.Positions.Reset("shop", 1, new ServerLog("other", 1, null), new Lsn(0), [], default);
        var claim = await _stores.Checkpoints.Claim("shop", 0, "silo-1", default);
        await _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, claim.Generation, At(60)) with { Journal = [Row("a", 50), Row("a", 60)] }]), default);
        Assert.Equal(["a: 500 600 50"], await All([new HistoryPlace("a", At(55))], JournalWindow.All, 2, long.MaxValue));
        Assert.Equal(["a"], await Starts(await Histories.Last("shop", "public.orders", default), JournalWindow.All, 1));
    }

    [Fact]
    public async Task A_segment_that_retention_deletes_meanwhile_is_left_out()
    {
        await Commit(Row("a", 10));
        await Roll();
        await Commit(Row("a", 20));
        await using var retention = new NpgsqlConnection(_stores.Connection + ";Pooling=false");
        await retention.OpenAsync();
        await using var transaction = await retention.BeginTransactionAsync();
        await using (var delete = new NpgsqlCommand($"DELETE FROM cdc.journal_segments WHERE number = 1; DROP TABLE cdc.journal_{_table.TableId}_1", retention))
            await delete.ExecuteNonQueryAsync();
        var reading = All([new HistoryPlace("a", At(99))], JournalWindow.All, 10, long.MaxValue);
        await _stores.SomebodyWaitsForALock();
        await transaction.CommitAsync();
        Assert.Equal(["a: 20"], await reading);
    }

    private async Task<List<string>> Starts(JournalPosition last, JournalWindow window, int most)
    {
        var keys = new List<string>();
        for (JournalPosition? after = JournalPosition.Start; after is { } position;)
        {
            var found = await Histories.Starts("shop", "public.orders", position, last, window, most, default);
            keys.AddRange(found.Keys);
            after = found.After;
        }

        return keys;
    }

    // The changes of each entity by their LSNs, read page by page; 'd' for a deletion, '+' for the last change behind the window.
    private async Task<List<string>> All(IReadOnlyList<HistoryPlace> places, JournalWindow window, int most, long mostBytes)
    {
        var texts = places.Select(p => $"{p.Key}:").ToArray();
        var open = places.Select((p, i) => (Place: p, Index: i)).ToList();
        while (open.Count > 0)
        {
            var pages = await Histories.Histories("shop", "public.orders", [.. open.Select(o => o.Place)], window, most, mostBytes, default);
            foreach (var (page, index) in pages.Zip(open, (p, o) => (p, o.Index)))
            {
                texts[index] += string.Concat(page.Changes.Select(c => $" {Text(c)}"));
                texts[index] += page.Closing is { } closing ? $" +{Text(closing)}" : page is { Next: null, Changes.Count: 0 } && texts[index][^1] == ':' ? " " : "";
            }

            open = [.. pages.Zip(open, (p, o) => (Place: p.Next, o.Index)).Where(o => o.Place is not null).Select(o => (o.Place!, o.Index))];
        }

        return [.. texts];

        static string Text(JournalRow row) =>
            row.Change.Version.CommitLsn.Value.ToString(CultureInfo.InvariantCulture) + (row.Change.Operation == ChangeOperation.Delete ? "d" : "");
    }

    private Task<IReadOnlyList<EntityKey>> Commit(params JournalRow[] rows) =>
        _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(1000), []) with { Journal = rows }]), default);

    private Task<string?> Roll() => _stores.Scalar("SELECT cdc.roll_journal(table_id, number)::text FROM cdc.journal_segments WHERE to_lsn IS NULL");

    private JournalRow Row(string key, ulong lsn) => new() { Change = Change(key, lsn, ChangeOperation.Create), After = SampleStates.Row($"{key}{lsn}") };

    private JournalRow Delete(string key, ulong lsn) => new() { Change = Change(key, lsn, ChangeOperation.Delete), Before = SampleStates.Row("gone"), BeforeTable = _table };

    private JournalRow Truncate(ulong lsn) => new() { Change = Change("", lsn, ChangeOperation.Truncate) };

    private RowChange Change(string key, ulong lsn, ChangeOperation operation, long ordinal = 1) => new()
    {
        Operation = operation, Table = _table, Entity = new EntityKey("public.orders", key), Version = At(lsn, ordinal), Lsn = new Lsn(lsn),
        Transaction = new SourceTransaction { CommitLsn = new Lsn(lsn), Xid = 1, CommitMicros = (long)lsn * 1_000_000 },
    };
}
