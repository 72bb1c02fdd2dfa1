using System.Net.Http.Json;
using System.Text.Json;
using CdcOrleans.Testing;

namespace CdcOrleans.Conformance;

/// <summary>How rows are read that exist before the capture begins.</summary>
internal enum Reading
{
    /// <summary>There are none.</summary>
    None,

    /// <summary>At the first start: <c>backfill: initial</c>, <c>snapshot.mode=initial</c>.</summary>
    Initial,

    /// <summary>While streaming, because somebody asks for it: a backfill of the kind <c>rows</c>, an incremental snapshot.</summary>
    Incremental,
}

/// <summary>The reading of rows that existed before, by both peers.</summary>
/// <param name="connection">Connection string of the captured database.</param>
internal sealed class Existing(string connection)
{
    /// <summary>The table that tells the peer what to read. The events of a table of this name are not compared.</summary>
    public const string Signals = "public.differs_signals";

    // All tables but our own two.
    private const string Tables = """
        pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relname NOT IN ('finish', 'differs_signals')
        """;

    // An incremental snapshot gives no rows of a table with a generated column, and sometimes none of the others either.
    private const string WithoutGenerated = " AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated <> '')";

    /// <summary>Creates the table of signals.</summary>
    public Task Prepare() => PostgresServer.Execute(connection, $"CREATE TABLE {Signals} (id varchar(64) PRIMARY KEY, type varchar(32), data varchar(2048))");

    /// <summary>Lets both peers read all tables.</summary>
    public async Task Read(Uri gateway, string source, bool hasPeer)
    {
        var names = JsonSerializer.Deserialize<string[]>((await PostgresServer.Scalar(connection, $"SELECT json_agg(n.nspname || '.' || c.relname)::text FROM {Tables}{WithoutGenerated}"))!)!;
        using var http = new HttpClient { BaseAddress = gateway };
        using var answer = await http.PostAsJsonAsync("api/v1/backfills", new { source, tables = names });
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"The backfill was refused: {await answer.Content.ReadAsStringAsync()}");
        if (hasPeer)
        {
            var data = JsonSerializer.Serialize(new Dictionary<string, object> { ["type"] = "incremental", ["data-collections"] = names });
            await PostgresServer.Execute(connection, $"INSERT INTO {Signals} VALUES ('all', 'execute-snapshot', '{data}')");
        }
    }

    /// <summary>Whether our backfills are done.</summary>
    /// <exception cref="InvalidOperationException">One ended otherwise.</exception>
    public static async Task<bool> IsDone(SiloProcess silo)
    {
        var backfills = (await silo.Get("api/v1/backfills")).Body.GetProperty("backfills").EnumerateArray().ToList();
        if (backfills.Find(b => b.GetProperty("state").GetString() is "failed" or "cancelled") is { ValueKind: JsonValueKind.Object } failed)
            throw new InvalidOperationException($"{failed}");
        return backfills.Count > 0 && backfills.TrueForAll(b => b.GetProperty("state").GetString() == "done");
    }

    /// <summary>How many rows are read.</summary>
    public async Task<int> Rows(Reading reading) => int.Parse(
        (await PostgresServer.Scalar(
            connection, $"SELECT coalesce(sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::int), 0) FROM {Tables}{(reading == Reading.Incremental ? WithoutGenerated : "")}"))!,
        System.Globalization.CultureInfo.InvariantCulture);
}
