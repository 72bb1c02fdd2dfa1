using Xunit;
using static CdcOrleans.Integration.Capture.CaptureUnderTest;

namespace CdcOrleans.Integration.Capture;

public sealed class SessionSettingsTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    private const string Table = """
        CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('low', 'high');
        CREATE TABLE s.t (id int PRIMARY KEY, day date DEFAULT '2024-02-29', zoned timestamptz DEFAULT '2024-02-29 12:00:00+00', gap interval DEFAULT '1 day 02:00:00',
            ratio float8 DEFAULT 0.1, raw bytea DEFAULT '\x00ff', m s.mood DEFAULT 'high', ref regclass DEFAULT 's.t', "user" text DEFAULT 'a\b');
        ALTER TYPE s.mood RENAME TO "user";
        """;

    private static readonly string[] Settings =
    [
        "datestyle = 'German'", "timezone = 'Asia/Tokyo'", "intervalstyle = 'sql_standard'", "extra_float_digits = 0", "bytea_output = 'escape'",
        "search_path = 's'", "quote_all_identifiers = on", "standard_conforming_strings = off", "statement_timeout = '1ms'", "lock_timeout = '1ms'",
    ];

    [Fact]
    public async Task What_a_database_decides_of_its_sessions_changes_neither_values_nor_shapes()
    {
        await using var plain = await server.Capture(Table, "s.*");
        await using var odd = await server.Capture(Table, s => s with { Connection = s.Connection + ";Options=-c DateStyle=SQL;Search Path=s;Timezone=Asia/Tokyo" }, "s.*");
        var name = await odd.Scalar("SELECT current_database()");
        foreach (var setting in Settings)
            await odd.Execute($"SET statement_timeout = 0; ALTER DATABASE {name} SET {setting}");
        var outcomes = new List<(string?[] Values, string[] Columns)>();
        foreach (var capture in new[] { plain, odd })
        {
            await capture.Start();
            await capture.Execute("SET statement_timeout = 0; INSERT INTO s.t VALUES (1)");
            var change = Assert.Single((await capture.NextTransaction()).Changes);
            outcomes.Add((Values(change.After), [.. change.Table.Columns.Select(c => $"{c.Name} {c.TypeName} {c.Default}")]));
        }

        Assert.Equal(outcomes[0].Columns, outcomes[1].Columns);
        Assert.Equal(outcomes[0].Values, outcomes[1].Values);
        Assert.Equal(
            ["1", "2024-02-29", "2024-02-29 12:00:00+00", "1 day 02:00:00", "0.1", "\\x00ff", "high", "s.t", "a\\b"], outcomes[1].Values);
        Assert.Equal("m s.\"user\" high", outcomes[1].Columns[6]);
    }
}
