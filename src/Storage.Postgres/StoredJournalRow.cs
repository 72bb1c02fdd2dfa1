using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>A row of a segment as it is stored.</summary>
internal sealed record StoredJournalRow(JournalPosition Position, ChangeOperation Operation)
{
    public long CommitMicros { get; init; }

    public uint Xid { get; init; }

    public Lsn Lsn { get; init; }

    public Lsn Previous { get; init; }

    public Lsn OriginLsn { get; init; }

    public int SchemaVersion { get; init; }

    public int? BeforeSchema { get; init; }

    public int TotalOrder { get; init; }

    public int TableOrder { get; init; }

    public bool BeforeIsKey { get; init; }

    public bool HasOmitted { get; init; }

    public required string Key { get; init; }

    public string? Origin { get; init; }

    public byte[]? Before { get; init; }

    public byte[]? After { get; init; }

    public byte[]? Other { get; init; }

    /// <summary>Bytes of the images.</summary>
    public long Bytes => (Before?.LongLength ?? 0) + (After?.LongLength ?? 0);

    /// <summary>Whether the change is in a window.</summary>
    public bool IsIn(JournalWindow window) => PostgresJournal.IsIn(window, CommitMicros, Position.Version.CommitLsn);

    /// <summary>Reads a row.</summary>
    public static async Task<StoredJournalRow> Read(NpgsqlDataReader reader, int segment, CancellationToken cancellation)
    {
        // Sequential access: the columns must be read in their order.
        var version = reader.GetVersion(0);
        var (micros, xid, lsn, previous) = (reader.GetInt64(2), (uint)reader.GetInt64(3), new Lsn((ulong)reader.GetInt64(4)), new Lsn((ulong)reader.GetInt64(5)));
        var originLsn = reader.IsDBNull(6) ? Lsn.None : new Lsn((ulong)reader.GetInt64(6));
        var schema = reader.GetInt32(7);
        int? before = reader.IsDBNull(8) ? null : reader.GetInt32(8);
        var (total, ofTable) = (reader.IsDBNull(9) ? 0 : reader.GetInt32(9), reader.IsDBNull(10) ? 0 : reader.GetInt32(10));
        return new StoredJournalRow(new JournalPosition(segment, version), (ChangeOperation)reader.GetInt16(11))
        {
            CommitMicros = micros,
            Xid = xid,
            Lsn = lsn,
            Previous = previous,
            OriginLsn = originLsn,
            SchemaVersion = schema,
            BeforeSchema = before,
            TotalOrder = total,
            TableOrder = ofTable,
            BeforeIsKey = reader.GetBoolean(12),
            HasOmitted = reader.GetBoolean(13),
            Key = reader.GetString(14),
            Origin = reader.IsDBNull(15) ? null : reader.GetString(15),
            Before = await reader.IsDBNullAsync(16, cancellation) ? null : await reader.GetFieldValueAsync<byte[]>(16, cancellation),
            After = await reader.IsDBNullAsync(17, cancellation) ? null : await reader.GetFieldValueAsync<byte[]>(17, cancellation),
            Other = await reader.IsDBNullAsync(18, cancellation) ? null : await reader.GetFieldValueAsync<byte[]>(18, cancellation),
        };
    }

    /// <summary>Returns it as an entry of the journal.</summary>
    public JournalEntry ToEntry(string table, TableSchema schema, TableSchema? beforeSchema)
    {
        var (before, after, other) = (Image(Before), Image(After), Image(Other));
        return new JournalEntry(Position, new JournalRow
        {
            Before = before,
            BeforeTable = before.IsPresent ? beforeSchema : null,
            BeforeIsKeyOnly = BeforeIsKey,
            After = after,
            IsTooLarge = Before is { Length: 0 } || After is { Length: 0 },
            Change = new RowChange
            {
                Operation = Operation,
                Table = schema,
                Entity = new EntityKey(table, Key),
                Version = Position.Version,
                Lsn = Lsn,
                Transaction = new SourceTransaction
                {
                    CommitLsn = Position.Version.CommitLsn,
                    PreviousCommitEnd = Previous,
                    Xid = Xid,
                    CommitMicros = CommitMicros,
                    Origin = Origin,
                    OriginLsn = OriginLsn,
                },
                Before = beforeSchema?.Version == schema.Version ? before : default,
                BeforeIsKeyOnly = BeforeIsKey,
                After = after,
                OtherRow = other,
                TotalOrder = TotalOrder,
                TableOrder = TableOrder,
                HasOmitted = HasOmitted,
            },
        });
    }

    private static RowImage Image(byte[]? bytes) => bytes is { Length: > 0 } ? new RowImage(bytes) : default;
}
