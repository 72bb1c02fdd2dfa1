namespace CdcOrleans.Model.Schemas;

/// <summary>
/// What a source tells besides its tables' changes, in the shape of tables so that it takes the same way: each has a name that routes
/// select (<c>source.message</c>), a key, and columns. They are not numbered in the store, and nothing is held of them.
/// </summary>
public static class SourceStreams
{
    private const uint Text = 25, BigInt = 20, Bytea = 17, Json = 114;

    /// <summary>Logical messages: prefix and content.</summary>
    public static readonly TableSchema Messages = Stream(
        -1, "message", [0], Column("prefix", Text, "text", nullable: false), Column("content", Bytea, "bytea", nullable: false));

    /// <summary>Begins and ends of transactions, with the number of their events at the end: in all, and per table as a JSON array.</summary>
    public static readonly TableSchema Transactions = Stream(
        -2, "transaction", [1],
        Column("status", Text, "text", nullable: false), Column("id", Text, "text", nullable: false),
        Column("event_count", BigInt, "bigint", nullable: true), Column("data_collections", Json, "json", nullable: true),
        Column("ts_ms", BigInt, "bigint", nullable: false));

    /// <summary>Heartbeats: the source's name and the time at which one was written into the log.</summary>
    public static readonly TableSchema Heartbeats = Stream(
        -3, "heartbeat", [0], Column("serverName", Text, "text", nullable: false), Column("ts_ms", BigInt, "bigint", nullable: false));

    private static TableSchema Stream(int id, string name, int[] key, params ColumnSchema[] columns) =>
        new() { TableId = id, Version = 0, Schema = "", Name = name, Columns = columns, Key = key };

    private static ColumnSchema Column(string name, uint type, string typeName, bool nullable) =>
        new() { Name = name, TypeOid = type, TypeModifier = -1, TypeName = typeName, Nullable = nullable };
}
