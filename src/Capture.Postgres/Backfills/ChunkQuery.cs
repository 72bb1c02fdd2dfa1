using System.Globalization;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>Makes the queries of chunks. Names are quoted and values are parameters; filters were checked before (<see cref="FilterText"/>).</summary>
internal static class ChunkQuery
{
    /// <summary>The rows after a key, in the order of the key.</summary>
    public static NpgsqlCommand AfterKey(ChunkTable table, string? where, AfterKey? place, int rows)
    {
        var command = new NpgsqlCommand();
        List<string> conditions = [.. Filters(table, where)];
        if (place is not null)
        {
            conditions.AddRange(After(table.Key));
            foreach (var value in place.Values)
                command.Parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        }

        command.CommandText = $"{Select(table, table.From)}{Where(conditions)} ORDER BY {string.Join(", ", table.Key.Select(k => k.Ordered))} LIMIT {rows.ToString(CultureInfo.InvariantCulture)}";
        return command;
    }

    /// <summary>The rows of some keys.</summary>
    public static NpgsqlCommand OfKeys(ChunkTable table, string? where, IReadOnlyList<IReadOnlyList<string?>> keys)
    {
        // By the names of the schema's key; the values come in its order.
        var columns = table.Table.Key.Select(place => table.Key.First(k => k.Place == place)).ToList();
        var wanted = string.Join(" AND ", columns.Select((c, i) => $"{c.Ordered} {c.Operator("=")} cdc_key.cdc_{i}::{c.Type}"));
        var command = new NpgsqlCommand
        {
            CommandText = $"{Select(table, table.From)}{Where([.. Filters(table, where), $"EXISTS (SELECT FROM unnest({string.Join(", ", columns.Select((_, i) => $"${i + 1}::text[]"))}) AS cdc_key({string.Join(", ", columns.Select((_, i) => $"cdc_{i}"))}) WHERE {wanted})"])}",
        };
        for (var i = 0; i < columns.Count; i++)
            command.Parameters.Add(new NpgsqlParameter { Value = keys.Select(k => k[i]).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        return command;
    }

    /// <summary>The rows of some blocks of a table or partition, after one of them. The last column is the place of the row.</summary>
    public static NpgsqlCommand OfBlocks(ChunkTable table, string? where, string store, AfterRow after, long to) => new()
    {
        CommandText = $"{Select(table, $"ONLY {store}", "ctid")}{Where([.. Filters(table, where), "ctid > $1::text::tid", "ctid < $2::text::tid"])} ORDER BY ctid",
        Parameters = { new() { Value = Tid(after.Block, after.Item) }, new() { Value = Tid(to, 0) } },
    };

    /// <summary>How the server would read all rows, with its estimate.</summary>
    public static string Estimate(ChunkTable table, string? where) => $"EXPLAIN (FORMAT JSON) {Select(table, table.From)}{Where([.. Filters(table, where)])}";

    // The server uses an index for a comparison of rows. For that, all operators must have the same schema.
    private static IEnumerable<string> After(IReadOnlyList<KeyColumn> key)
    {
        if (key.All(k => k.IsBuiltIn))
            return [$"({string.Join(", ", key.Select(k => k.Ordered))}) > ({string.Join(", ", key.Select(Value))})"];
        var after = "";
        for (var i = key.Count - 1; i >= 0; i--)
        {
            var greater = $"{key[i].Ordered} {key[i].Operator(">")} {Value(key[i], i)}";
            after = after.Length == 0 ? greater : $"({greater} OR ({key[i].Ordered} {key[i].Operator("=")} {Value(key[i], i)} AND {after}))";
        }

        return [$"{key[0].Ordered} {key[0].Operator(">=")} {Value(key[0], 0)}", after];

        static string Value(KeyColumn column, int index) => $"${index + 1}::text::{column.Type}";
    }

    private static string Select(ChunkTable table, string from, params ReadOnlySpan<string> further) =>
        $"SELECT {string.Join(", ", [.. table.Read.Select(r => Sql.Name(table.Table.Columns[r].Name)), .. further])} FROM {from}";

    private static string Where(List<string> conditions) => conditions.Count == 0 ? "" : $" WHERE {string.Join(" AND ", conditions)}";

    private static IEnumerable<string> Filters(ChunkTable table, string? where)
    {
        if (table.Filter is not null)
            yield return $"({table.Filter})";
        if (where is not null)
            yield return $"({where})";
    }

    private static string Tid(long block, uint item) => string.Create(CultureInfo.InvariantCulture, $"({block},{item})");
}
