using CdcOrleans.Grains.Interfaces.Changes;
using CdcOrleans.Grains.Interfaces.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>What all formats have in common: keys, the row before, the event around the bytes.</summary>
internal static class EventParts
{
    /// <summary>The key as a JSON object; null where the table has none. The buffer is empty before and after.</summary>
    public static byte[]? Key(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        if (!encoding.HasKey)
            return null;
        var row = change.Change;
        // The log's own image first: its shape is the change's. The entity's key text has it all, should an image lack a part.
        if (!encoding.TryWriteKey(buffer, row.Operation == ChangeOperation.Delete ? row.Before : row.After))
            encoding.WriteKey(buffer, row.Entity.Key);
        var key = buffer.ToArray();
        buffer.Clear();
        return key;
    }

    /// <summary>Writes the row before the change, or <c>null</c> where there was none or nobody knows it.</summary>
    public static void WriteBefore(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        var row = change.Change;
        if (row.Operation is ChangeOperation.Create or ChangeOperation.Read || !change.Before.IsPresent)
        {
            buffer.Raw("null"u8);
            return;
        }

        var isKeyOnly = row.BeforeIsKeyOnly && ReferenceEquals(change.Before.ToStorage(), row.Before.ToStorage());
        if (!isKeyOnly)
            encoding.WriteRowOf(buffer, change.BeforeTable ?? row.Table, change.Before);
        else if (row.Operation == ChangeOperation.Delete)
            encoding.WriteRow(buffer, change.Before, isKeyOnly: true);
        else
            buffer.Raw("null"u8);
    }

    /// <summary>Writes the row after the change; <c>null</c> for deletes.</summary>
    public static void WriteAfter(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        if (change.Change.Operation != ChangeOperation.Delete && change.After.IsPresent)
            encoding.WriteRow(buffer, change.After);
        else
            buffer.Raw("null"u8);
    }

    /// <summary>The event around key and value.</summary>
    public static SinkEvent Event(
        in CompletedChange change, byte[]? key, byte[]? value, IReadOnlyList<KeyValuePair<string, byte[]>>? headers = null) => new()
        {
            Topic = change.Topic,
            Entity = change.Change.Entity,
            Key = key,
            Value = value,
            Source = change.Source,
            Version = change.Change.Version,
            Origin = change.Origin,
            SchemaVersion = change.Change.Table.Version,
            Headers = headers,
        };
}
