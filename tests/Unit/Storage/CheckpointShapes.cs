using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Unit.Storage;

internal static class CheckpointShapes
{
    public static TableSchema Table(int id = 1, int version = 1) => new()
    {
        TableId = id,
        Version = version,
        Schema = "public",
        Name = "orders",
        Columns = [new ColumnSchema { Name = "id", TypeOid = 20, TypeModifier = -1, TypeName = "bigint", Nullable = false }],
        Key = [0],
    };

    public static ChangeVersion At(ulong lsn, long ordinal = 1) => new(new Lsn(lsn), ordinal);

    public static PartitionCheckpoint Partition(
        int partition, long generation = 1, IEnumerable<(string Key, EntityState State)>? states = null, IReadOnlyCollection<DeadLetter>? letters = null) => new()
    {
        Partition = partition,
        Generation = generation,
        Progress = At(1),
        High = At(1),
        States = [.. (states ?? []).Select(s => KeyValuePair.Create(new EntityKey(s.State.Table.FullName, s.Key), s.State))],
        DeadLetters = letters ?? [],
    };
}
