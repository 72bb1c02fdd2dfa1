using CdcOrleans.Model.Changes;

namespace CdcOrleans.Sinks.Formats;

/// <summary>The <c>source</c> block of the envelope for one table. Its constant parts are encoded once.</summary>
internal sealed class SourceBlock
{
    private static readonly string ProductVersion = typeof(SourceBlock).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    private readonly byte[] _beforeTime;
    private readonly byte[][] _beforeSequence;
    private readonly byte[] _beforeTransaction;

    public SourceBlock(string source, string database, string schema, string table)
    {
        Source = source;
        Database = database;
        var buffer = new JsonBuffer();
        buffer.Raw("{\"version\":"u8);
        buffer.String(ProductVersion);
        buffer.Raw(",\"connector\":\"postgresql\",\"name\":"u8);
        buffer.String(source);
        buffer.Raw(",\"ts_ms\":"u8);
        _beforeTime = buffer.ToArray();
        _beforeSequence =
        [
            BeforeSequence(buffer, "false"u8, database),
            BeforeSequence(buffer, "true"u8, database),
            BeforeSequence(buffer, "first"u8, database),
            BeforeSequence(buffer, "first_in_data_collection"u8, database),
            BeforeSequence(buffer, "last_in_data_collection"u8, database),
            BeforeSequence(buffer, "last"u8, database),
            BeforeSequence(buffer, "incremental"u8, database),
        ];
        buffer.Clear();
        buffer.Raw(",\"schema\":"u8);
        buffer.String(schema);
        buffer.Raw(",\"table\":"u8);
        buffer.String(table);
        buffer.Raw(",\"txId\":"u8);
        _beforeTransaction = buffer.ToArray();
    }

    /// <summary>Name of the source it was made for.</summary>
    public string Source { get; }

    /// <summary>Name of the database it was made for.</summary>
    public string Database { get; }

    /// <summary>Writes the block of a change. The order of the fields is Debezium's.</summary>
    public void Write(JsonBuffer buffer, RowChange change)
    {
        var transaction = change.Transaction;
        buffer.Raw(_beforeTime);
        buffer.Number(transaction.CommitMicros / 1000);
        buffer.Raw(_beforeSequence[(int)(change.Operation == ChangeOperation.Read ? change.Snapshot : SnapshotMark.None)]);
        if (transaction.PreviousCommitEnd.IsNone)
        {
            buffer.Raw("null"u8);
        }
        else
        {
            buffer.Raw("\\\""u8);
            buffer.Number(transaction.PreviousCommitEnd.Value);
            buffer.Raw("\\\""u8);
        }

        buffer.Raw(",\\\""u8);
        buffer.Number(change.Lsn.Value);
        buffer.Raw("\\\"]\",\"ts_us\":"u8);
        buffer.Number(transaction.CommitMicros);
        buffer.Raw(",\"ts_ns\":"u8);
        buffer.Number(transaction.CommitMicros);
        buffer.Raw("000"u8);
        buffer.Raw(_beforeTransaction);
        if (transaction.Xid == 0)
            buffer.Raw("null"u8);
        else
            buffer.Number((ulong)transaction.Xid);
        buffer.Raw(",\"lsn\":"u8);
        buffer.Number(change.Lsn.Value);
        if (transaction.Origin is { } origin)
        {
            buffer.Raw(",\"xmin\":null,\"origin\":"u8);
            buffer.String(origin);
            buffer.Raw(",\"origin_lsn\":"u8);
            if (transaction.OriginLsn.IsNone)
                buffer.Raw("null"u8);
            else
                buffer.Number(transaction.OriginLsn.Value);
            buffer.Raw((byte)'}');
        }
        else
        {
            buffer.Raw(",\"xmin\":null,\"origin\":null,\"origin_lsn\":null}"u8);
        }
    }

    private static byte[] BeforeSequence(JsonBuffer buffer, ReadOnlySpan<byte> snapshot, string database)
    {
        buffer.Clear();
        buffer.Raw(",\"snapshot\":"u8);
        buffer.Quoted(snapshot);
        buffer.Raw(",\"db\":"u8);
        buffer.String(database);
        buffer.Raw(",\"sequence\":\"["u8);
        return buffer.ToArray();
    }
}
