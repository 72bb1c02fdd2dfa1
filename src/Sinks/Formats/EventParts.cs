using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Formats;

/// <summary>The common parts of all formats: keys, the row before the change, and the event.</summary>
internal static class EventParts
{
    /// <summary>Begins to write a change: returns an empty buffer, the encoding of its rows, and its key.</summary>
    public static JsonBuffer Start(in CompletedChange change, out RowEncoding encoding, out byte[]? key)
    {
        var buffer = JsonBuffer.Take();
        encoding = RowEncoding.Of(change.Change.Table, change.Values);
        key = Key(buffer, encoding, change);
        return buffer;
    }

    // Null when the table has no key, and for truncations.
    private static byte[]? Key(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        var row = change.Change;
        if (!encoding.HasKey || row.Operation == ChangeOperation.Truncate)
            return null;
        // The image from the log is used first, because it has the schema of the change. If the image lacks a part of the key, the entity's
        // key text has it.
        if (!encoding.TryWriteKey(buffer, row.Operation == ChangeOperation.Delete ? row.Before : row.After))
            encoding.WriteKey(buffer, row.Entity.Key);
        var key = buffer.ToArray();
        buffer.Clear();
        return key;
    }

    /// <summary>Writes the row before the change, or <c>null</c> when there was none or it is not known.</summary>
    public static void WriteBefore(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        var row = change.Change;
        // When the row is not known, the log may still have its key: in deletes, and in updates whose key is stored out of line.
        var before = change.Before.IsPresent || !row.BeforeIsKeyOnly ? change.Before : row.Before;
        if (row.Operation is ChangeOperation.Create or ChangeOperation.Read || !before.IsPresent)
            buffer.Raw("null"u8);
        else if (row.BeforeIsKeyOnly && ReferenceEquals(before.ToStorage(), row.Before.ToStorage()))
            encoding.WriteRow(buffer, before, isKeyOnly: true);
        else
            encoding.WriteRowOf(buffer, change.BeforeTable ?? row.Table, before);
    }

    /// <summary>Writes the row after the change; <c>null</c> for deletes.</summary>
    public static void WriteAfter(JsonBuffer buffer, RowEncoding encoding, in CompletedChange change)
    {
        if (change.Change.Operation != ChangeOperation.Delete && change.After.IsPresent)
            encoding.WriteRow(buffer, change.After);
        else
            buffer.Raw("null"u8);
    }

    /// <summary>Writes the begin or the end of a transaction: its columns, one of which already is JSON.</summary>
    public static void WriteTransaction(JsonBuffer buffer, in CompletedChange change)
    {
        var index = 0;
        foreach (var value in change.After)
        {
            buffer.Raw(index switch
            {
                0 => "{\"status\":"u8,
                1 => ",\"id\":"u8,
                2 => ",\"event_count\":"u8,
                3 => ",\"data_collections\":"u8,
                _ => ",\"ts_ms\":"u8,
            });
            if (value.Kind != ColumnKind.Text)
                buffer.Raw("null"u8);
            else if (index < 2)
                buffer.String(value.Text);
            else
                buffer.Raw(value.Text);
            index++;
        }

        buffer.Raw((byte)'}');
    }

    /// <summary>Returns Debezium's letter for an operation.</summary>
    public static byte LetterOf(ChangeOperation operation) => operation switch
    {
        ChangeOperation.Create => (byte)'c',
        ChangeOperation.Update => (byte)'u',
        ChangeOperation.Delete => (byte)'d',
        ChangeOperation.Read => (byte)'r',
        ChangeOperation.Truncate => (byte)'t',
        _ => (byte)'m',
    };

    /// <summary>Creates the event from key and value.</summary>
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
