using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

/// <summary>What passes between silos arrives as it was sent, private and read-only parts included.</summary>
public sealed class SerializationTests
{
    [Fact]
    public void A_batch_of_changes_arrives_whole()
    {
        var table = new TableSchema
        {
            TableId = 7,
            Version = 2,
            Schema = "public",
            Name = "orders",
            Columns = [new ColumnSchema { Name = "id", TypeOid = 20, TypeModifier = -1, TypeName = "bigint", Nullable = false }],
            Key = [0],
        };
        var transaction = new SourceTransaction { CommitLsn = new Lsn(200), PreviousCommitEnd = new Lsn(100), Xid = 7, CommitMicros = 8, Origin = "o" };
        RowChange Change(string key, long ordinal) => new()
        {
            Operation = ChangeOperation.Update,
            Table = table,
            Entity = new EntityKey("public.orders", key),
            Version = new ChangeVersion(new Lsn(200), ordinal),
            Lsn = new Lsn(150),
            Transaction = transaction,
            BeforeIsKeyOnly = true,
            After = new RowImage(RowImageTests.Tuple([(ColumnKind.Text, [1, 2, 3])])),
        };

        using var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        var read = serializer.Deserialize<ChangeBatch>(serializer.SerializeToArray(new ChangeBatch { Epoch = 3, Generation = 5, Sequence = 4, Changes = [Change("1", 1), Change("2", 2)] }));
        Assert.NotNull(read);

        Assert.Equal((3, 5, 4, 2), (read.Epoch, read.Generation, read.Sequence, read.Changes.Length));
        var (first, second) = (read.Changes[0], read.Changes[1]);
        Assert.Equal(new EntityKey("public.orders", "1"), first.Entity);
        Assert.Equal(new EntityKey("public.orders", "1").Hash, first.Entity.Hash);
        Assert.Equal(new ChangeVersion(new Lsn(200), 2), second.Version);
        Assert.Equal((ChangeOperation.Update, new Lsn(150), true), (first.Operation, first.Lsn, first.BeforeIsKeyOnly));
        Assert.Equal(Change("1", 1).After.ToStorage(), first.After.ToStorage());
        Assert.False(first.Before.IsPresent);
        Assert.Equal(("public.orders", 7, 2), (first.Table.FullName, first.Table.TableId, first.Table.Version));
        Assert.Equal(table.Columns, first.Table.Columns);
        Assert.Equal(table.Key, first.Table.Key);
        Assert.Equal((new Lsn(200), new Lsn(100), 7u, 8L, "o"),
            (first.Transaction.CommitLsn, first.Transaction.PreviousCommitEnd, first.Transaction.Xid, first.Transaction.CommitMicros, first.Transaction.Origin));
        Assert.Same(first.Table, second.Table);
        Assert.Same(first.Transaction, second.Transaction);
    }

    [Fact]
    public void A_shape_arrives_as_the_one_instance_of_its_content()
    {
        using var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        TableSchema Arrived(TableSchema schema) => serializer.Deserialize<StoredRow>(serializer.SerializeToArray(new StoredRow(true, default, schema)))!.Table!;
        TableSchema Schema(string column, int version = 3) => new()
        {
            TableId = 11,
            Version = version,
            Schema = "public",
            Name = "interned",
            Columns =
            [
                new ColumnSchema
                {
                    Name = column, Number = 4, TypeOid = 1009, TypeModifier = 7, TypeName = "text[]", Nullable = false, Default = "{}",
                    Element = new ElementSchema(25, -1, "text", ','),
                },
            ],
            Key = [0],
            InsertsOnly = true,
            RelationOid = 77,
        };

        var first = Arrived(Schema("a"));
        Assert.Same(first, Arrived(Schema("a")));
        Assert.Equal((11, 3, "public", "interned", true, 77u), (first.TableId, first.Version, first.Schema, first.Name, first.InsertsOnly, first.RelationOid));
        Assert.Equal(Schema("a").Columns, first.Columns);
        Assert.Equal([0], first.Key);

        // The same numbers in another control database, and another schema version of the same table.
        Assert.Equal("b", Arrived(Schema("b")).Columns[0].Name);
        Assert.NotSame(first, Arrived(Schema("a", version: 4)));
        foreach (var stream in (TableSchema[])[SourceStreams.Messages, SourceStreams.Transactions, SourceStreams.Heartbeats])
            Assert.Same(stream, Arrived(stream));

        // Within a silo nothing is copied.
        var local = Schema("local");
        Assert.Same(local, services.GetRequiredService<DeepCopier>().Copy(local));
    }

    [Fact]
    public void An_entity_id_arrives_whole()
    {
        using var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var serializer = services.GetRequiredService<Serializer>();
        var id = new EntityId("shop", new EntityKey("public.a/b", "1,\\N"));
        Assert.Equal(id, serializer.Deserialize<EntityId>(serializer.SerializeToArray(id)));
    }
}
