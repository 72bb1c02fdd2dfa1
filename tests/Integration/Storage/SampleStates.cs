using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Integration.Storage;

internal static class SampleStates
{
    public static TableSchema Orders(params string[] columns) => Named("orders", columns);

    public static TableSchema Named(string name, params string[] columns) => new()
    {
        TableId = 0,
        Version = 0,
        Schema = "public",
        Name = name,
        Columns = [.. columns.Select(c => new ColumnSchema { Name = c, TypeOid = 25, TypeModifier = -1, TypeName = "text" })],
        Key = [0],
    };

    public static ChangeVersion At(ulong lsn, long ordinal = 1) => new(new Lsn(lsn), ordinal);

    /// <summary>A row of one text column.</summary>
    public static RowImage Row(string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        var tuple = new byte[RowImageWriter.EmptySize + RowImageWriter.SizeOf(ColumnKind.Text, utf8.Length)];
        new RowImageWriter(tuple, 1).Write(ColumnKind.Text, utf8);
        return new RowImage(tuple);
    }

    public static string Text(EntityState? state)
    {
        foreach (var column in state!.Row)
            return Encoding.UTF8.GetString(column.Text);
        return "";
    }

    public static (string Key, EntityState State) State(TableSchema table, string key, ChangeVersion version, string text) =>
        (key, new EntityState(version, table, Row(text), false));

    public static PartitionCheckpoint Partition(
        int partition, long generation, ChangeVersion progress, IEnumerable<(string Key, EntityState State)>? states = null,
        IReadOnlyCollection<DeadLetter>? letters = null, ChangeVersion? high = null) => new()
    {
        Partition = partition,
        Generation = generation,
        Progress = progress,
        High = high ?? progress,
        States = [.. (states ?? []).Select(s => KeyValuePair.Create(new EntityKey(s.State.Table.FullName, s.Key), s.State))],
        DeadLetters = letters ?? [],
    };

    /// <summary>A checkpoint with one event that was parked for sink "other".</summary>
    public static PartitionCheckpoint Parked(int partition, long generation, string key, ulong lsn)
    {
        var entity = new EntityKey("public.orders", key);
        var made = new SinkEvent
        {
            Topic = "shop.public.orders", Entity = entity, Key = Encoding.UTF8.GetBytes(key), Value = [1], Source = "shop", Version = At(lsn),
            Origin = EventOrigin.Stream, SchemaVersion = 1,
        };
        var parked = new ParkedEvent("other", At(lsn), made, DateTimeOffset.UnixEpoch);
        return Partition(partition, generation, At(lsn)) with
        {
            Parked = [parked],
            ParkedEntities =
            [
                new ParkedEntityState
                {
                    Entity = entity, Sink = "other", Events = 1, Bytes = made.Size, Newest = parked.Position, Attempts = 1, FirstTriedAt = DateTimeOffset.UnixEpoch,
                    DueAt = DateTimeOffset.UnixEpoch, LastError = "later",
                },
            ],
        };
    }

    public static DeadLetter Letter(string key, ChangeVersion version, byte[]? value, string sink = "events", string topic = "shop.public.orders", string error = "too large") => new()
    {
        Entity = new EntityKey("public.orders", key),
        Version = version,
        Sink = sink,
        Topic = topic,
        Key = [1, 2],
        Value = value,
        Error = error,
    };
}
