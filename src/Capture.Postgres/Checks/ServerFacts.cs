using System.Globalization;
using CdcOrleans.Model.Changes;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>What the server reports about itself and about our role.</summary>
internal sealed record ServerFacts
{
    private const string Query = """
        SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_setting('wal_level'),
               pg_is_in_recovery(), current_database(), current_user::text, current_setting('server_encoding'),
               r.rolsuper OR r.rolreplication
                   OR EXISTS (SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'MEMBER')),
               current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots)::int,
               current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication)::int,
               has_database_privilege(current_database(), 'CREATE'),
               (SELECT system_identifier::text FROM pg_control_system()),
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text,
               CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
        FROM pg_roles r WHERE r.rolname = current_user
        """;

    public required string Version { get; init; }

    public required int VersionNumber { get; init; }

    public required string WalLevel { get; init; }

    public required bool IsStandby { get; init; }

    public required string Database { get; init; }

    public required string Role { get; init; }

    public required string Encoding { get; init; }

    /// <summary>Whether the role may stream.</summary>
    public required bool MayReplicate { get; init; }

    public required int MaxSlots { get; init; }

    public required int Slots { get; init; }

    public required int MaxSenders { get; init; }

    public required int Senders { get; init; }

    /// <summary>Whether the role may create a publication in the database.</summary>
    public required bool MayCreate { get; init; }

    public required string SystemIdentifier { get; init; }

    /// <summary>The timeline on which it writes its log; 0 for a standby.</summary>
    public required uint Timeline { get; init; }

    /// <summary>The end of its written log.</summary>
    public required Lsn Written { get; init; }

    public static async Task<ServerFacts> Read(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Query, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        if (!await rows.ReadAsync(cancellation))
            throw new NpgsqlException("The server does not know the role of its own session.");
        return new ServerFacts
        {
            Version = rows.GetString(0).Split(' ')[0],
            VersionNumber = rows.GetInt32(1),
            WalLevel = rows.GetString(2),
            IsStandby = rows.GetBoolean(3),
            Database = rows.GetString(4),
            Role = rows.GetString(5),
            Encoding = rows.GetString(6),
            MayReplicate = rows.GetBoolean(7),
            MaxSlots = rows.GetInt32(8),
            Slots = rows.GetInt32(9),
            MaxSenders = rows.GetInt32(10),
            Senders = rows.GetInt32(11),
            MayCreate = rows.GetBoolean(12),
            SystemIdentifier = rows.GetString(13),
            Written = Lsn.Parse(rows.GetString(14)),
            Timeline = rows.IsDBNull(15) ? 0 : uint.Parse(rows.GetString(15), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
        };
    }
}
