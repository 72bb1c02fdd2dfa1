using CdcOrleans.Samples.TheWorldShop.Databases;
using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>A captured table as the database has it now.</summary>
internal sealed record ShopTable(string Schema, string Name, Column[] Columns, Column[] Key)
{
    public string FullName => $"{Schema}.{Name}";

    /// <summary>The topic of its events: characters that Kafka does not allow are underscores.</summary>
    public string Topic(string source) =>
        string.Concat($"{source}.{Schema}.{Name}".Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '_'));

    /// <summary>The tables of a publication, or all tables where there is no such publication.</summary>
    public static async Task<List<ShopTable>> Load(NpgsqlConnection shop, string publication, CancellationToken cancellation)
    {
        const string sql = """
            SELECT n.nspname, c.relname, a.attname, b.typname, b.typcategory, b.typtype, e.typname,
                   CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, array_position(i.indkey::int2[], a.attnum)
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
            LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
            LEFT JOIN LATERAL (
              SELECT indkey FROM pg_index WHERE indrelid = c.oid AND (indisprimary OR indisreplident) ORDER BY indisprimary DESC LIMIT 1) i ON true
            WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
              AND (NOT EXISTS (SELECT FROM pg_publication WHERE pubname = @publication)
                   OR EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname = @publication AND p.schemaname = n.nspname AND p.tablename = c.relname))
            ORDER BY n.nspname, c.relname, a.attnum
            """;
        var rows = new List<(string Schema, string Table, Column Column, int? KeyPosition)>();
        await using var command = new NpgsqlCommand(sql, shop);
        command.Parameters.AddWithValue("publication", publication);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var column = Column.Of(reader.GetString(2), reader.GetString(3), reader.GetChar(4), reader.GetChar(5),
                reader.IsDBNull(6) ? null : reader.GetString(6), reader.GetInt32(7));
            rows.Add((reader.GetString(0), reader.GetString(1), column, reader.IsDBNull(8) ? null : reader.GetInt32(8)));
        }

        return [.. rows.GroupBy(r => (r.Schema, r.Table)).Select(t => new ShopTable(
            t.Key.Schema, t.Key.Table, [.. t.Select(r => r.Column)], [.. t.Where(r => r.KeyPosition is not null).OrderBy(r => r.KeyPosition).Select(r => r.Column)]))];
    }

    /// <summary>All rows, their columns in canonical text.</summary>
    public async IAsyncEnumerable<string?[]> Rows(NpgsqlConnection shop, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        var list = string.Join(", ", Columns.Select(c => c.Sql(ShopDatabase.Quote(c.Name))));
        await using var command = new NpgsqlCommand($"SELECT {list} FROM {ShopDatabase.Quote(Schema)}.{ShopDatabase.Quote(Name)}", shop) { CommandTimeout = 600 };
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var row = new string?[Columns.Length];
            for (var i = 0; i < row.Length; i++)
                row[i] = CanonicalValues.FromDatabase(Columns[i], reader.IsDBNull(i) ? null : reader.GetString(i));
            yield return row;
        }
    }
}
