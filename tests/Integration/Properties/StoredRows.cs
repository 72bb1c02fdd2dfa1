using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using Npgsql;

namespace CdcOrleans.Integration.Properties;

/// <summary>
/// Rows of one table as columns' texts by name: as the table has them, and as they are stored. Both are PostgreSQL's own text,
/// byte for byte: COPY writes with the same output functions as the log.
/// </summary>
internal static class StoredRows
{
    /// <summary>Stands for a value that is not known.</summary>
    public const string NotKnown = "\u0001not known";

    // Values are stored out of line when a row has about 2 kB, and may be compressed before.
    private const int LeastLarge = 500;

    /// <summary>What <c>SELECT * FROM table</c> gives.</summary>
    public static async Task<List<Dictionary<string, string?>>> OfTable(NpgsqlConnection source, RandomTable table)
    {
        await using (var settings = new NpgsqlCommand(EventTruth.Settings, source))
            await settings.ExecuteNonQueryAsync();
        await using (var files = new NpgsqlCommand("SELECT relfilenode <> oid FROM pg_class WHERE oid = $1::regclass", source) { Parameters = { new() { Value = table.Sql } } })
            table.IsRewritten = (bool)(await files.ExecuteScalarAsync())!;
        using var copy = await source.BeginTextExportAsync($"COPY (SELECT * FROM {table.Sql}) TO STDOUT");
        var rows = new List<Dictionary<string, string?>>();
        var names = table.Columns.Select(c => c.Name).ToList();
        while (await copy.ReadLineAsync() is { } line)
            rows.Add(names.Zip(line.Split('\t')).ToDictionary(p => p.First, p => Unescaped(p.Second)));
        return rows;
    }

    /// <summary>The stored rows of a table whose entities are not deleted.</summary>
    public static async Task<List<Dictionary<string, string?>>> OfEntities(
        NpgsqlDataSource control, ISchemaStore schemas, string source, RandomTable table, CancellationToken cancellation)
    {
        var states = new List<(int TableId, int Version, byte[] Row)>();
        await using (var command = control.CreateCommand(
            """
            SELECT s.table_id, s.schema_version, s."row" FROM cdc.entity_states s JOIN cdc.tables t USING (table_id)
            WHERE t.source = $1 AND t.name = $2 AND NOT s.deleted
            """))
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = source });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = $"{table.Schema}.{table.Name}" });
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                states.Add((rows.GetInt32(0), rows.GetInt32(1), rows.GetFieldValue<byte[]>(2)));
        }

        var stored = new List<Dictionary<string, string?>>();
        foreach (var (tableId, version, row) in states)
            stored.Add(Columns(await schemas.Get(tableId, version, cancellation), new RowImage(row)));
        return stored;
    }

    /// <summary>How the stored rows differ from the table's; empty when they do not.</summary>
    public static List<string> Compare(RandomTable table, List<Dictionary<string, string?>> rows, List<Dictionary<string, string?>> stored) =>
        Compare(table, rows, stored, out _);

    /// <summary>The same.</summary>
    /// <param name="table">The table.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="stored">The stored rows.</param>
    /// <param name="unknowable">Values and rows that are not known and cannot be: see <see cref="RandomTable.Renamed"/>, <see cref="RandomTable.Retyped"/>, <see cref="RandomTable.IsRewritten"/> and <see cref="RandomTable.IsSilent"/>.</param>
    public static List<string> Compare(
        RandomTable table, List<Dictionary<string, string?>> rows, List<Dictionary<string, string?>> stored, out int unknowable)
    {
        unknowable = 0;
        var differences = new List<string>();
        var byKey = new Dictionary<string, Dictionary<string, string?>>();
        foreach (var row in stored)
        {
            if (!byKey.TryAdd(KeyOf(table, row), row))
                differences.Add($"{KeyOf(table, row)}: stored twice");
        }

        foreach (var row in rows)
        {
            var key = KeyOf(table, row);
            if (!byKey.Remove(key, out var other))
            {
                // The server gives the table new files, or rows changed without an event, and the stored rows are forgotten.
                if (table.IsRewritten || table.IsSilent)
                    unknowable++;
                else
                    differences.Add($"{key}: in the table, and not stored");
                continue;
            }

            foreach (var (column, value) in row)
            {
                var isStored = other.TryGetValue(column, out var storedValue);
                // The log leaves a large value out, and the stored value has another type or belongs to a column that is not certainly the same.
                if (isStored && storedValue == NotKnown && value?.Length > LeastLarge && (table.IsRewritten || table.IsSilent || table.Renamed.Contains(column) || table.Retyped.Contains(column)))
                {
                    unknowable++;
                    continue;
                }

                if (!isStored || storedValue != value)
                    differences.Add($"{key}, column {column} ({table.Column(column).Type.Name}): {Shown(value)} in the table, {(isStored ? Shown(storedValue) : "no such column")} stored");
            }

            differences.AddRange(other.Keys.Except(row.Keys).Select(column => $"{key}, column {column}: stored, and not in the table"));
        }

        differences.AddRange(byKey.Keys.Select(key => $"{key}: stored, and not in the table"));
        return differences;
    }

    private static Dictionary<string, string?> Columns(TableSchema schema, RowImage row)
    {
        var columns = new Dictionary<string, string?>();
        var index = 0;
        foreach (var column in row)
        {
            columns.Add(schema.Columns[index++].Name, column.Kind switch
            {
                ColumnKind.Null => null,
                ColumnKind.Text => Encoding.UTF8.GetString(column.Text),
                _ => NotKnown,
            });
        }

        return columns;
    }

    private static string KeyOf(RandomTable table, Dictionary<string, string?> row) =>
        $"{table.Schema}.{table.Name} ({string.Join(", ", table.Key.Select(k => Shown(row.GetValueOrDefault(k, "?"))))})";

    private static string Shown(string? value) => value is null ? "NULL" : value.Length > 300 ? $"'{value[..300]}…' ({value.Length} characters)" : $"'{value}'";

    private static string? Unescaped(string field)
    {
        if (field == "\\N")
            return null;
        if (!field.Contains('\\', StringComparison.Ordinal))
            return field;
        var text = new StringBuilder(field.Length);
        for (var i = 0; i < field.Length; i++)
        {
            text.Append(field[i] != '\\' ? field[i] : field[++i] switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\v',
                var plain => plain,
            });
        }

        return text.ToString();
    }
}
