namespace CdcOrleans.Integration.Grains;

/// <summary>A table to which something happens while a backfill reads it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Statements">What happens, after some rows are told.</param>
internal sealed record AlteredTable(string Name, params string[] Statements)
{
    /// <summary>A part of the error with which its reading ends; null when it is read to the end.</summary>
    public string? Error { get; init; }

    /// <summary>Whether it is read from its start again.</summary>
    public bool IsBegunAgain { get; init; }

    /// <summary>The name of the table in the end; null when it is gone, or not followed any more.</summary>
    public string? Becomes { get; init; } = Name;

    /// <summary>The column of the key in the end.</summary>
    public string Key { get; init; } = "id";

    /// <summary>The filter of the backfill.</summary>
    public string? Where { get; init; }

    /// <summary>The columns that are read besides the key.</summary>
    public string[]? Columns { get; init; }

    public string Calm => $"{Name}_calm";
}

/// <summary>What people do to tables while they are read.</summary>
internal static class AlteredTables
{
    public const int Rows = 400;

    public const string Role = "cdc_reader";

    public static readonly AlteredTable[] All =
    [
        new("dropped", "DROP TABLE dropped") { Error = "table public.dropped does not exist. Write it", Becomes = null },
        new("replaced", "BEGIN; DROP TABLE replaced; CREATE TABLE replaced (id int PRIMARY KEY, n int); GRANT SELECT ON replaced TO cdc_reader; INSERT INTO replaced VALUES (900, 1); COMMIT")
        {
            Error = "table public.replaced is another table than when the backfill began: it was dropped and created again", Becomes = null,
        },
        new("renamed", "ALTER TABLE renamed RENAME TO renamed_now") { Error = "If it was renamed since, start a backfill of it by its new name.", Becomes = null },
        new("widened", "ALTER TABLE widened ADD w int NOT NULL DEFAULT 7; INSERT INTO widened (id, code, n) VALUES (900, 900, 1)"),
        new("narrowed", "ALTER TABLE narrowed DROP COLUMN t; UPDATE narrowed SET n = 5 WHERE id IN (3, 390)"),
        new("converted", "ALTER TABLE converted ALTER n TYPE text USING n || ' pieces'") { IsBegunAgain = true },
        new("rekeyed", "ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (code)") { IsBegunAgain = true, Key = "code" },
        new("retyped", "ALTER TABLE retyped ALTER id TYPE text") { IsBegunAgain = true },
        new("key_renamed", "ALTER TABLE key_renamed RENAME id TO number; UPDATE key_renamed SET n = 5 WHERE number IN (3, 390)") { Key = "number" },
        new("keyless", "ALTER TABLE keyless DROP CONSTRAINT keyless_pkey") { Error = "Nothing identifies rows of shop.public.keyless in the log", Becomes = null },
        new("truncated", "TRUNCATE truncated", "INSERT INTO truncated SELECT i, i, 1, 'new' FROM generate_series(390, 410) i") { IsBegunAgain = true },
        new("revoked", "REVOKE SELECT ON revoked FROM cdc_reader", "UPDATE revoked SET n = 5 WHERE id = 3") { Error = "GRANT SELECT ON \"public\".\"revoked\"", Becomes = null },
        new("hidden", "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY") { Error = "has row-level security, and the role of sources.shop.postgres.connection may not see all rows. Give the role BYPASSRLS.", Becomes = null },
        new("rewritten", "ALTER TABLE rewritten ALTER t TYPE text USING t || ' again'") { IsBegunAgain = true },
        new("moved", "UPDATE moved SET n = 4 WHERE id = 2", "BEGIN; ALTER TABLE moved SET SCHEMA elsewhere; UPDATE elsewhere.moved SET t = 'silent'; ALTER TABLE elsewhere.moved SET SCHEMA public; COMMIT", "UPDATE moved SET n = 5 WHERE id = 3")
        {
            IsBegunAgain = true,
        },
        new("filtered", "ALTER TABLE filtered DROP COLUMN n") { Where = "n >= 0", Error = "its filter (where), 'n >= 0', is not a condition any more that the server accepts: column \"n\" does not exist", Becomes = null },
        new("chosen", "ALTER TABLE chosen DROP COLUMN t") { Columns = ["t"], Error = "has no captured column 't'. Its columns are id, code, n.", Becomes = null },
    ];

    public static string Schema => $"""
        DO $do$ BEGIN CREATE ROLE {Role} LOGIN REPLICATION; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;
        CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO {Role};
        {string.Join('\n', All.Select(t => $"""
            CREATE TABLE {t.Name} (id int PRIMARY KEY, code int NOT NULL UNIQUE, n int, t text);
            INSERT INTO {t.Name} SELECT i, {Rows + 1} - i, 0, 'x' FROM generate_series(1, {Rows}) i;
            CREATE TABLE {t.Calm} (id int PRIMARY KEY, code int, n int, t text);
            INSERT INTO {t.Calm} SELECT i, i, 0, 'x' FROM generate_series(1, 3) i;
            """))}
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO {Role};
        CREATE PUBLICATION cdc FOR ALL TABLES;
        ANALYZE
        """;
}
