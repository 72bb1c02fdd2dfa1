using System.Text;
using System.Text.Json;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Integration.Grains;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Sinks.Formats;
using Npgsql;

namespace CdcOrleans.Integration.Properties;

/// <summary>
/// What triggers on the tables wrote of every change, against the events: what an event says of a row before and after is what one of the
/// changes of its table, in its transaction, had; or it is null, or stands for a value that is not known.
/// </summary>
internal static class EventTruth
{
    private const string Table = $"{SilentStatements.Outside}.audit";

    private static readonly ValueOptions Options = new();

    /// <summary>Creates the table of changes and the trigger's function.</summary>
    public const string Ddl = $"""
        CREATE SCHEMA {SilentStatements.Outside};
        CREATE TABLE {Table} (n bigint GENERATED ALWAYS AS IDENTITY, xid bigint, name text, columns text[], before text, after text);
        CREATE FUNCTION {Table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO {Table} (xid, name, columns, before, after) VALUES (
            pg_current_xact_id()::text::bigint & 4294967295, TG_ARGV[0],
            (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped),
            OLD::text, NEW::text);
          RETURN NULL;
        END $$;
        """;

    /// <summary>Settings of the session that changes rows: those of the capture's.</summary>
    public const string Settings = "SET timezone TO 'UTC'; SET datestyle TO ISO; SET intervalstyle TO postgres; SET extra_float_digits TO 3; SET bytea_output TO hex";

    /// <summary>Lets a trigger record the changes of a table.</summary>
    public static string Trigger(RandomTable table) =>
        $"CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON {table.Sql} FOR EACH ROW EXECUTE FUNCTION {Table}({SqlText.Literal($"{table.Schema}.{table.Name}")});";

    /// <summary>The events that are not true.</summary>
    public static async Task<(List<string> Wrong, int Checked)> Check(
        NpgsqlConnection source, IReadOnlyDictionary<string, RandomTable> tables, IEnumerable<Received> delivered, ISchemaStore schemas, CancellationToken cancellation)
    {
        var changes = await Changes(source, cancellation);
        var wrong = new List<string>();
        var count = 0;
        var known = new Dictionary<(string Table, int Version), Form>();
        foreach (var made in delivered.Select(d => d.Event).Where(e => e.Value is not null))
        {
            using var parsed = JsonDocument.Parse(made.Value!);
            var value = parsed.RootElement;
            if (value.GetProperty("op").GetString() is not ("c" or "u" or "d") || !tables.TryGetValue(made.Entity.Table, out var table))
                continue;
            count++;
            if (!known.TryGetValue((made.Entity.Table, made.SchemaVersion), out var form))
            {
                var number = await schemas.FindTable("shop", made.Entity.Table, cancellation);
                known.Add((made.Entity.Table, made.SchemaVersion), form = new Form(await schemas.Get(number!.Value, made.SchemaVersion, cancellation)));
            }

            var (before, after) = (value.GetProperty("before"), value.GetProperty("after"));
            var candidates = changes.GetValueOrDefault((value.GetProperty("source").GetProperty("txId").GetInt64(), made.Entity.Table), []);
            if (!candidates.Exists(c => Fits(form, table, after, c.Columns, c.After, isBefore: false) && Fits(form, table, before, c.Columns, c.Before, isBefore: true)))
                wrong.Add($"{made.Entity.Table} {made.Entity.Key} at {made.Version}: no change of its transaction is that of this event: {Shown(value)}");
        }

        return (wrong, count);
    }

    private static async Task<Dictionary<(long Xid, string Table), List<Change>>> Changes(NpgsqlConnection source, CancellationToken cancellation)
    {
        var changes = new Dictionary<(long Xid, string Table), List<Change>>();
        await using var command = new NpgsqlCommand($"SELECT xid, name, columns, before, after FROM {Table} ORDER BY n", source);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            var place = (rows.GetInt64(0), rows.GetString(1));
            if (!changes.TryGetValue(place, out var list))
                changes.Add(place, list = []);
            list.Add(new Change(rows.GetFieldValue<string[]>(2), rows.IsDBNull(3) ? null : Fields(rows.GetString(3)), rows.IsDBNull(4) ? null : Fields(rows.GetString(4))));
        }

        return changes;
    }

    private static bool Fits(Form form, RandomTable table, JsonElement row, string[] columns, List<string?>? values, bool isBefore)
    {
        if (row.ValueKind == JsonValueKind.Null)
            return true;
        if (values is null || values.Count != columns.Length)
            return false;
        var schema = form.Schema;
        var byName = columns.Zip(values).ToDictionary();
        if (schema.Columns.Any(c => !byName.ContainsKey(c.Name)))
            return false;
        string?[] inOrder = [.. schema.Columns.Select(c => byName[c.Name])];
        using var truth = JsonDocument.Parse(Written(schema, inOrder));

        // The row before is that of the time when it was stored, if columns were altered since.
        if (row.EnumerateObject().All(p => p.Value.GetRawText() is var text
            && (text == Text(truth, p.Name) || text == Text(form.Unknown, p.Name) || (isBefore && table.IsAltered(p.Name)))))
            return true;

        // Or only its key is known.
        if (!isBefore)
            return false;
        for (var i = 0; i < inOrder.Length; i++)
        {
            if (!schema.Key.Contains(i))
                inOrder[i] = null;
        }

        using var keyOnly = JsonDocument.Parse(Written(schema, inOrder, isKeyOnly: true));
        return row.EnumerateObject().All(p => p.Value.GetRawText() == Text(keyOnly, p.Name));

        static string Text(JsonDocument document, string name) => document.RootElement.GetProperty(name).GetRawText();
    }

    private static byte[] Written(TableSchema schema, string?[] values, bool isKeyOnly = false)
    {
        var buffer = new JsonBuffer();
        RowEncoding.Of(schema, Options).WriteRow(buffer, new RowImage(TupleData.Of(values)), isKeyOnly);
        return buffer.ToArray();
    }

    private static byte[] Unknown(TableSchema schema)
    {
        var row = new byte[RowImageWriter.EmptySize + (schema.Columns.Length * RowImageWriter.SizeOf(ColumnKind.Unchanged, 0))];
        var writer = new RowImageWriter(row, schema.Columns.Length);
        foreach (var _ in schema.Columns)
            writer.Write(ColumnKind.Unchanged, default);
        var buffer = new JsonBuffer();
        RowEncoding.Of(schema, Options).WriteRow(buffer, new RowImage(row));
        return buffer.ToArray();
    }

    // PostgreSQL's text of a row: (1,"a ""b""",,\\).
    private static List<string?> Fields(string row)
    {
        var fields = new List<string?>();
        for (var i = 1; i < row.Length; i++)
        {
            var field = new StringBuilder();
            var (isQuoted, isNull) = (false, true);
            for (; isQuoted || row[i] is not (',' or ')'); i++)
            {
                isNull = false;
                if (row[i] == '"' && isQuoted && row[i + 1] == '"')
                    field.Append(row[++i]);
                else if (row[i] == '"')
                    isQuoted = !isQuoted;
                else
                    field.Append(row[i] == '\\' ? row[++i] : row[i]);
            }

            fields.Add(isNull ? null : field.ToString());
        }

        return fields;
    }

    private static string Shown(JsonElement value) => value.GetRawText() is var text && text.Length > 600 ? $"{text[..600]}…" : text;

    private sealed class Form(TableSchema schema)
    {
        public TableSchema Schema { get; } = schema;

        public JsonDocument Unknown { get; } = JsonDocument.Parse(EventTruth.Unknown(schema));
    }

    private sealed record Change(string[] Columns, List<string?>? Before, List<string?>? After);
}
