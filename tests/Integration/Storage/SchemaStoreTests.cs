using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Xunit;

namespace CdcOrleans.Integration.Storage;

public class SchemaStoreTests(ControlServer control)
{
    [Fact]
    public async Task Equal_shapes_share_a_number_and_new_ones_take_the_next()
    {
        await using var stores = await control.Migrated();
        var first = await stores.Schemas.Register("shop", Schema("id"), default);
        var second = await stores.Schemas.Register("shop", Schema("id", "name"), default);
        var again = await stores.Schemas.Register("shop", Schema("id"), default);
        var elsewhere = await stores.Schemas.Register("mall", Schema("id"), default);
        Assert.Equal((first.TableId, 1), (first.TableId, first.Version));
        Assert.Equal((first.TableId, 2), (second.TableId, second.Version));
        Assert.Same(first, again);
        Assert.NotEqual(first.TableId, elsewhere.TableId);
        Assert.Equal(1, elsewhere.Version);
    }

    [Fact]
    public async Task Another_silo_finds_what_one_has_numbered()
    {
        await using var stores = await control.Migrated();
        var registered = await stores.Schemas.Register("shop", Schema("id", "name"), default);
        await using var other = new ControlStores(stores.Connection);
        var read = await other.Schemas.Get(registered.TableId, registered.Version, default);
        Assert.Equal("public.orders", read.FullName);
        Assert.Equal(registered.Columns, read.Columns);
        Assert.Equal(registered.Key, read.Key);
        Assert.Equal((registered.TableId, 1), (read.TableId, read.Version));
        Assert.Same(read, await other.Schemas.Get(registered.TableId, registered.Version, default));
        Assert.Equal(registered.TableId, await other.Schemas.FindTable("shop", "public.orders", default));
        Assert.Equal(1, (await other.Schemas.Register("shop", Schema("id", "name"), default)).Version);
    }

    [Fact]
    public async Task What_was_never_captured_is_not_found()
    {
        await using var stores = await control.Migrated();
        Assert.Null(await stores.Schemas.FindTable("shop", "public.orders", default));
        var trouble = await Assert.ThrowsAsync<KeyNotFoundException>(async () => await stores.Schemas.Get(7, 3, default));
        Assert.Equal("The control database has no schema 3 of table 7.", trouble.Message);
    }

    [Fact]
    public async Task Silos_that_register_at_once_agree()
    {
        await using var stores = await control.Migrated();
        var silos = Enumerable.Range(0, 8).Select(_ => new ControlStores(stores.Connection)).ToList();
        var schemas = new[] { Schema("id"), Schema("id", "a"), Schema("id", "b"), Schema("id", "a", "b") };
        var registered = await Task.WhenAll(silos.SelectMany((silo, i) => schemas.Select((_, n) =>
        {
            var schema = (i + n) % schemas.Length;
            return Numbered(silo, schema, schemas[schema]);
        })));

        Assert.Single(registered.Select(r => r.Schema.TableId).Distinct());
        var bySchema = registered.GroupBy(r => r.Number).ToDictionary(g => g.Key, g => g.Select(r => r.Schema.Version).Distinct().Single());
        Assert.Equal([1, 2, 3, 4], bySchema.Values.Order());
        Assert.Equal("4", await stores.Scalar("SELECT count(*) FROM cdc.table_schemas"));
        foreach (var silo in silos)
            await silo.DisposeAsync();

        static async Task<(int Number, TableSchema Schema)> Numbered(ControlStores silo, int number, TableSchema schema) =>
            (number, await silo.Schemas.Register("shop", schema, default));
    }

    [Fact]
    public async Task A_relation_keeps_its_history_in_the_order_of_the_log()
    {
        await using var stores = await control.Migrated();
        var first = await stores.Schemas.Register("shop", Schema("id"), default);
        var second = await stores.Schemas.Register("shop", Schema("id", "name"), default);
        Assert.Empty(await stores.Schemas.History("shop", 7, default));
        Assert.Null(await stores.Schemas.LatestRelation("shop", first.TableId, default));
        await stores.Schemas.Record("shop", 7, new RelationRecord(At(20, 1), second, EntityMode.Off, [first.TableId]), default);
        await stores.Schemas.Record("shop", 7, new RelationRecord(At(10, 3), first, EntityMode.Version, []), default);
        var origin = new RowsOrigin("files", "publication");
        await stores.Schemas.Record("shop", 7, new RelationRecord(At(10, 3), first, EntityMode.Row, []) { Origin = origin, OriginSeen = new Lsn(12) }, default);
        await stores.Schemas.Record("shop", uint.MaxValue, new RelationRecord(At(15, 0), first, EntityMode.Row, []), default);
        await stores.Schemas.Record("mall", 7, new RelationRecord(At(30, 0), first, EntityMode.Row, []), default);

        var history = await stores.Schemas.History("shop", 7, default);
        Assert.Equal([(At(10, 3), first, EntityMode.Row), (At(20, 1), second, EntityMode.Off)], history.Select(r => (r.From, r.Table, r.Entities)));
        Assert.Equal([[], [first.TableId]], history.Select(r => r.Forgotten));
        Assert.Equal([(origin, new Lsn(12)), (null, Lsn.None)], history.Select(r => (r.Origin, r.OriginSeen)));
        Assert.Equal(7u, await stores.Schemas.LatestRelation("shop", first.TableId, default));

        static ChangeVersion At(ulong commit, long ordinal) => new(new Lsn(commit), ordinal);
    }

    private static TableSchema Schema(params string[] columns) => SampleStates.Orders(columns);
}
