using CdcOrleans.Model.Changes;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Parameters of the statements of a checkpoint: one array for each column, for any number of rows.</summary>
internal static class SqlValues
{
    public static NpgsqlBatchCommand Statement(string text, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        return command;
    }

    /// <summary>An LSN as it is stored: a byte offset.</summary>
    public static long Stored(Lsn lsn) => checked((long)lsn.Value);

    public static NpgsqlParameter<string> Text(string value) => new() { TypedValue = value };

    public static NpgsqlParameter<int[]> Integers<T>(IReadOnlyList<T> rows, Func<T, int> value) => Array(rows, value, NpgsqlDbType.Integer);

    public static NpgsqlParameter<long[]> Bigints<T>(IReadOnlyList<T> rows, Func<T, long> value) => Array(rows, value, NpgsqlDbType.Bigint);

    public static NpgsqlParameter<string?[]> Texts<T>(IReadOnlyList<T> rows, Func<T, string?> value) => Array(rows, value, NpgsqlDbType.Text);

    public static NpgsqlParameter<TValue[]> Array<TRow, TValue>(IReadOnlyList<TRow> rows, Func<TRow, TValue> value, NpgsqlDbType element)
    {
        var values = new TValue[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = value(rows[i]);
        return new NpgsqlParameter<TValue[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element };
    }
}
