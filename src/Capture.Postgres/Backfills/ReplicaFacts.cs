using System.Globalization;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>What the source says of its log while rows are read from a replica.</summary>
/// <param name="Log">The server and its timeline. Where that begins is asked for separately.</param>
/// <param name="Flushed">The end of its log that is durable. A standby has replayed no more of it.</param>
/// <param name="Database">OID of the database, which is the same on each copy of the server.</param>
/// <param name="DatabaseName">Its name.</param>
/// <param name="SlotHorizon">The catalog horizon of the source's slot (<c>catalog_xmin</c>); null without a slot.</param>
internal sealed record PrimaryFacts(ServerLog Log, Lsn Flushed, uint Database, string DatabaseName, string? SlotHorizon)
{
    private const string Query = """
        SELECT (SELECT system_identifier::text FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
               pg_current_wal_flush_lsn()::text, oid, datname::text, (SELECT catalog_xmin::text FROM pg_replication_slots WHERE slot_name = $1)
        FROM pg_database WHERE datname = current_database()
        """;

    public static async Task<PrimaryFacts> Read(NpgsqlConnection connection, string slot, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Query, connection) { Parameters = { new() { Value = slot } } };
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        await rows.ReadAsync(cancellation);
        var timeline = uint.Parse(rows.GetString(1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        return new PrimaryFacts(
            new ServerLog(rows.GetString(0), timeline, null), Lsn.Parse(rows.GetString(2)), rows.GetFieldValue<uint>(3), rows.GetString(4),
            rows.IsDBNull(5) ? null : rows.GetString(5));
    }
}

/// <summary>What a replica says of itself.</summary>
/// <param name="IsStandby">Whether it replays a log. One that was promoted does not.</param>
/// <param name="SystemIdentifier">Its system identifier, which is that of the server of which it is a copy.</param>
/// <param name="Database">OID of the database.</param>
/// <param name="DatabaseName">Its name.</param>
/// <param name="Snapshot">
/// What its snapshot certainly shows: the transactions below its <c>xmin</c>. It shows some above it, too, but a standby does not tell which:
/// the ids that are open are missing in its <c>pg_current_snapshot()</c>, because it keeps them in another place than a primary.
/// </param>
/// <param name="Replayed">The position up to which it has replayed the log; null when it is no standby.</param>
/// <param name="IsPaused">Whether replaying is paused.</param>
/// <param name="Age">Time since the last transaction that it has replayed was committed; null when it has replayed none.</param>
internal sealed record ReplicaFacts(
    bool IsStandby, string SystemIdentifier, uint Database, string DatabaseName, TransactionSnapshot Snapshot, Lsn? Replayed, bool IsPaused, TimeSpan? Age)
{
    // Whether it is a standby is asked after the snapshot was taken. What it shows was replayed then.
    private const string Query = """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()), oid, datname::text,
               pg_last_wal_replay_lsn()::text, CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
               EXTRACT(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
        FROM pg_database WHERE datname = current_database()
        """;

    public static async Task<ReplicaFacts> Read(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Query, connection);
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        await rows.ReadAsync(cancellation);
        var xmin = ulong.Parse(rows.GetString(0), CultureInfo.InvariantCulture);
        return new ReplicaFacts(
            rows.GetBoolean(1), rows.GetString(2), rows.GetFieldValue<uint>(3), rows.GetString(4), new TransactionSnapshot(xmin, xmin),
            rows.IsDBNull(5) ? null : Lsn.Parse(rows.GetString(5)), rows.GetBoolean(6), rows.IsDBNull(7) ? null : TimeSpan.FromSeconds(Math.Max(0, rows.GetDouble(7))));
    }
}
