namespace CdcOrleans.Model.Schemas;

/// <summary>
/// The events of a source that are not changes of rows. They have the form of changes of small tables, so they are processed in the same
/// way. Each has a name that routes select (<c>source.message</c>), a key, and columns. They are not in the schema store, and no state of
/// them is stored.
/// </summary>
public static class SourceStreams
{
    private const uint Text = 25, BigInt = 20, Bytea = 17, Json = 114;

    /// <summary>Logical messages: prefix and content.</summary>
    public static readonly TableSchema Messages = Stream(
        -1, "message", [0], Column("prefix", Text, "text", nullable: false), Column("content", Bytea, "bytea", nullable: false));

    /// <summary>Begins and ends of transactions. The end has the number of events: the total, and per table as a JSON array.</summary>
    public static readonly TableSchema Transactions = Stream(
        -2, "transaction", [1],
        Column("status", Text, "text", nullable: false), Column("id", Text, "text", nullable: false),
        Column("event_count", BigInt, "bigint", nullable: true), Column("data_collections", Json, "json", nullable: true),
        Column("ts_ms", BigInt, "bigint", nullable: false));

    /// <summary>Heartbeats: the name of the source, and the time when the heartbeat was written into the log.</summary>
    public static readonly TableSchema Heartbeats = Stream(
        -3, "heartbeat", [0], Column("serverName", Text, "text", nullable: false), Column("ts_ms", BigInt, "bigint", nullable: false));

    private static TableSchema Stream(int id, string name, int[] key, params ColumnSchema[] columns) =>
        new() { TableId = id, Version = 0, Schema = "", Name = name, Columns = columns, Key = key };

    private static ColumnSchema Column(string name, uint type, string typeName, bool nullable) =>
        new() { Name = name, TypeOid = type, TypeModifier = -1, TypeName = typeName, Nullable = nullable };
}
