using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A message written with <c>pg_logical_emit_message</c>.</summary>
internal readonly ref struct LogicalMessage
{
    private LogicalMessage(bool transactional, Lsn lsn, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> content)
    {
        Transactional = transactional;
        Lsn = lsn;
        Prefix = prefix;
        Content = content;
    }

    /// <summary>
    /// Whether it belongs to a transaction. The server sends a non-transactional message as soon as it reads it, outside transactions.
    /// </summary>
    public bool Transactional { get; }

    /// <summary>Position of the end of its record.</summary>
    public Lsn Lsn { get; }

    public ReadOnlySpan<byte> Prefix { get; }

    public ReadOnlySpan<byte> Content { get; }

    /// <summary>Length of a content in PostgreSQL's text form: <c>\x</c> and two digits per byte.</summary>
    public static long TextLength(int content) => 2 + (2L * content);

    public static LogicalMessage Read(ref WireReader reader) =>
        new((reader.Byte() & 1) != 0, new Lsn(reader.UInt64()), reader.TextBytes(), reader.Bytes(reader.Int32()));
}
