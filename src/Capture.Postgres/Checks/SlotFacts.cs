using CdcOrleans.Model.Changes;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>An existing replication slot.</summary>
internal sealed record SlotFacts
{
    private const string Query = """
        SELECT s.slot_type, s.plugin::text, s.database::text, s.wal_status, s.confirmed_flush_lsn::text, s.active_pid,
               a.application_name, host(a.client_addr)
        FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
        WHERE s.slot_name = $1
        """;

    public required string Type { get; init; }

    public required string? Plugin { get; init; }

    public required string? Database { get; init; }

    /// <summary>Whether the server has removed a part of the log that the slot needs.</summary>
    public required bool IsLost { get; init; }

    public required Lsn Confirmed { get; init; }

    /// <summary>Id of the server process that streams from the slot; null when none does.</summary>
    public required int? ActiveProcess { get; init; }

    /// <summary>Application name of the streaming session; null when it is not known.</summary>
    public required string? ActiveName { get; init; }

    /// <summary>Address of the streaming client; null when it is not known.</summary>
    public required string? ActiveClient { get; init; }

    /// <summary>Reads a slot by name; null when there is none.</summary>
    public static async Task<SlotFacts?> Read(NpgsqlConnection connection, string slot, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Query, connection) { Parameters = { new() { Value = slot } } };
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        if (!await rows.ReadAsync(cancellation))
            return null;
        return new SlotFacts
        {
            Type = rows.GetString(0),
            Plugin = Text(rows, 1),
            Database = Text(rows, 2),
            IsLost = Text(rows, 3) == "lost",
            Confirmed = Text(rows, 4) is { } position ? Lsn.Parse(position) : Lsn.None,
            ActiveProcess = rows.IsDBNull(5) ? null : rows.GetInt32(5),
            ActiveName = Text(rows, 6),
            ActiveClient = Text(rows, 7),
        };
    }

    private static string? Text(NpgsqlDataReader rows, int column) => rows.IsDBNull(column) ? null : rows.GetString(column);
}
