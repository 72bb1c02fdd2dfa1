using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Makes the statements of a checkpoint: dead letters and states, a slice for each statement, and the last statement of a transaction,
/// which checks the fence and sets the progress. Each statement has one text and arrays as parameters, for any number of rows, so it is
/// prepared only once.
/// </summary>
internal static class CheckpointStatements
{
    private const string UpsertStates =
        """
        INSERT INTO cdc.entity_states AS stored (table_id, key, commit_lsn, ordinal, schema_version, deleted, "row", deleted_at)
        SELECT given.*, CASE WHEN given.deleted THEN now() END
        FROM unnest($1, $2, $3, $4, $5, $6, $7) AS given (table_id, key, commit_lsn, ordinal, schema_version, deleted, "row")
        ON CONFLICT (table_id, key) DO UPDATE
        SET commit_lsn = excluded.commit_lsn, ordinal = excluded.ordinal, schema_version = excluded.schema_version,
            deleted = excluded.deleted, "row" = excluded."row", deleted_at = excluded.deleted_at
        WHERE (stored.commit_lsn, stored.ordinal) < (excluded.commit_lsn, excluded.ordinal)
        """;

    private const string InsertDeadLetters =
        """
        INSERT INTO cdc.dead_letters
            (source, table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error)
        SELECT $1, given.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS given
        ON CONFLICT DO NOTHING
        """;

    private const string FenceAndAdvance = "SELECT cdc.advance($1, $2, $3, $4, $5, $6, $7, $8)";

    /// <summary>Writes states.</summary>
    public static NpgsqlBatchCommand Upsert(ArraySegment<StateRow> slice) => Statement(
        UpsertStates,
        Integers(slice, s => s.State.Table.TableId),
        Texts(slice, s => s.Key),
        Bigints(slice, s => Stored(s.State.Version.CommitLsn)),
        Bigints(slice, s => s.State.Version.Ordinal),
        Integers(slice, s => s.State.Table.Version),
        Array(slice, s => s.State.Deleted, NpgsqlDbType.Boolean),
        Array(slice, s => s.State.Absence == RowAbsence.TooLarge ? StoredStates.TooLarge : s.State.Row.ToStorage(), NpgsqlDbType.Bytea));

    /// <summary>Writes dead letters.</summary>
    public static NpgsqlBatchCommand Insert(string source, ArraySegment<DeadLetterRow> slice) => Statement(
        InsertDeadLetters,
        Text(source),
        Texts(slice, d => d.Letter.Entity.Table),
        Texts(slice, d => d.Letter.Entity.Key),
        Bigints(slice, d => Stored(d.Letter.Version.CommitLsn)),
        Bigints(slice, d => d.Letter.Version.Ordinal),
        Texts(slice, d => d.Letter.Sink),
        Texts(slice, d => StoredText.Holdable(d.Letter.Topic)),
        Integers(slice, d => d.Occurrence),
        Array(slice, d => d.Letter.Key, NpgsqlDbType.Bytea),
        Array(slice, d => d.Letter.Value, NpgsqlDbType.Bytea),
        Texts(slice, d => StoredText.Words(d.Letter.Error)));

    /// <summary>Ends a transaction of a checkpoint.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="isLast">Whether everything of it is written; only then the progress moves. The high marks move in any case.</param>
    public static NpgsqlBatchCommand Advance(Checkpoint checkpoint, bool isLast) => Statement(
        FenceAndAdvance,
        Text(checkpoint.Source),
        new NpgsqlParameter<long> { TypedValue = checkpoint.Epoch },
        Integers(checkpoint.Partitions, p => p.Partition),
        Bigints(checkpoint.Partitions, p => p.Generation),
        Bigints(checkpoint.Partitions, p => isLast ? Stored(p.Progress.CommitLsn) : 0),
        Bigints(checkpoint.Partitions, p => isLast ? p.Progress.Ordinal : 0),
        Bigints(checkpoint.Partitions, p => Stored(p.High.CommitLsn)),
        Bigints(checkpoint.Partitions, p => p.High.Ordinal));

    private static long Stored(Lsn lsn) => checked((long)lsn.Value);

    private static NpgsqlBatchCommand Statement(string text, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        return command;
    }

    private static NpgsqlParameter<string> Text(string value) => new() { TypedValue = value };

    private static NpgsqlParameter<int[]> Integers<T>(IReadOnlyList<T> rows, Func<T, int> value) => Array(rows, value, NpgsqlDbType.Integer);

    private static NpgsqlParameter<long[]> Bigints<T>(IReadOnlyList<T> rows, Func<T, long> value) => Array(rows, value, NpgsqlDbType.Bigint);

    private static NpgsqlParameter<string[]> Texts<T>(IReadOnlyList<T> rows, Func<T, string> value) => Array(rows, value, NpgsqlDbType.Text);

    private static NpgsqlParameter<TValue[]> Array<TRow, TValue>(IReadOnlyList<TRow> rows, Func<TRow, TValue> value, NpgsqlDbType element)
    {
        var values = new TValue[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = value(rows[i]);
        return new NpgsqlParameter<TValue[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element };
    }
}
