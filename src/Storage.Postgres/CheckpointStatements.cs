using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Makes the statements of a checkpoint. The first one is the fence, which ends the transaction when the owner is stale. Then follow states
/// and dead letters in slices, and last the progress. Each statement has one text and arrays as parameters, for any number of rows, so it
/// is prepared only once.
/// </summary>
internal static class CheckpointStatements
{
    private const string Fence = "SELECT cdc.fence($1, $2, $3, $4)";

    private const string UpsertStates =
        """
        INSERT INTO cdc.entity_states AS stored (table_id, key, commit_lsn, ordinal, schema_version, deleted, "row")
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (table_id, key) DO UPDATE
        SET commit_lsn = excluded.commit_lsn, ordinal = excluded.ordinal, schema_version = excluded.schema_version,
            deleted = excluded.deleted, "row" = excluded."row"
        WHERE (stored.commit_lsn, stored.ordinal) < (excluded.commit_lsn, excluded.ordinal)
        """;

    private const string InsertDeadLetters =
        """
        INSERT INTO cdc.dead_letters
            (source, table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error)
        SELECT $1, given.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS given
        ON CONFLICT DO NOTHING
        """;

    // SET reads the old values of the row, so the ordinals are compared with the position before this update.
    private const string Advance =
        """
        UPDATE cdc.partitions AS stored SET
            progress_ordinal = CASE
                WHEN given.progress_lsn > stored.progress_lsn THEN given.progress_ordinal
                WHEN given.progress_lsn = stored.progress_lsn THEN greatest(given.progress_ordinal, stored.progress_ordinal)
                ELSE stored.progress_ordinal END,
            progress_lsn = greatest(given.progress_lsn, stored.progress_lsn),
            high_ordinal = CASE
                WHEN given.high_lsn > stored.high_lsn THEN given.high_ordinal
                WHEN given.high_lsn = stored.high_lsn THEN greatest(given.high_ordinal, stored.high_ordinal)
                ELSE stored.high_ordinal END,
            high_lsn = greatest(given.high_lsn, stored.high_lsn),
            updated_at = now()
        FROM unnest($2, $3, $4, $5, $6) AS given (partition, progress_lsn, progress_ordinal, high_lsn, high_ordinal)
        WHERE stored.source = $1 AND stored.partition = given.partition
        """;

    public static void AddTo(NpgsqlBatchCommandCollection commands, Checkpoint checkpoint)
    {
        commands.Add(Statement(
            Fence,
            Text(checkpoint.Source),
            new NpgsqlParameter<long> { TypedValue = checkpoint.Epoch },
            Integers(checkpoint.Partitions, p => p.Partition),
            Bigints(checkpoint.Partitions, p => p.Generation)));
        foreach (var slice in StateSlices.Of(checkpoint))
            commands.Add(Upsert(slice));
        foreach (var slice in DeadLetterSlices.Of(checkpoint))
            commands.Add(Insert(checkpoint.Source, slice));
        commands.Add(Statement(
            Advance,
            Text(checkpoint.Source),
            Integers(checkpoint.Partitions, p => p.Partition),
            Bigints(checkpoint.Partitions, p => Stored(p.Progress.CommitLsn)),
            Bigints(checkpoint.Partitions, p => p.Progress.Ordinal),
            Bigints(checkpoint.Partitions, p => Stored(p.High.CommitLsn)),
            Bigints(checkpoint.Partitions, p => p.High.Ordinal)));
    }

    private static NpgsqlBatchCommand Upsert(ArraySegment<StateRow> slice) => Statement(
        UpsertStates,
        Integers(slice, s => s.State.Table.TableId),
        Texts(slice, s => s.Key),
        Bigints(slice, s => Stored(s.State.Version.CommitLsn)),
        Bigints(slice, s => s.State.Version.Ordinal),
        Integers(slice, s => s.State.Table.Version),
        Array(slice, s => s.State.Deleted, NpgsqlDbType.Boolean),
        Array(slice, s => s.State.Row.ToStorage(), NpgsqlDbType.Bytea));

    private static NpgsqlBatchCommand Insert(string source, ArraySegment<DeadLetterRow> slice) => Statement(
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
