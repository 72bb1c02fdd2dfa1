using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Reads parked events from the control database.</summary>
internal sealed class PostgresParkedStore(NpgsqlDataSource control) : IParkedStore
{
    public async Task<IReadOnlyList<ParkedEntityState>> ReadEntities(string source, int partition, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT sink, table_name, entity_key, events, bytes, attempts, first_tried_at, due_at, last_error, blocked,
                newest_place_lsn, newest_place_ordinal, newest_lsn, newest_ordinal, newest_part, newest_turn
            FROM cdc.parked_entities WHERE source = $1 AND partition = $2
            """);
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = partition });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new List<ParkedEntityState>();
        while (await reader.ReadAsync(cancellation))
        {
            found.Add(new ParkedEntityState
            {
                Sink = reader.GetString(0),
                Entity = new EntityKey(reader.GetString(1), reader.GetString(2)),
                Events = reader.GetInt32(3),
                Bytes = reader.GetInt64(4),
                Attempts = reader.GetInt32(5),
                FirstTriedAt = reader.GetFieldValue<DateTimeOffset>(6),
                DueAt = reader.GetFieldValue<DateTimeOffset>(7),
                LastError = reader.IsDBNull(8) ? null : reader.GetString(8),
                IsBlocked = reader.GetBoolean(9),
                Newest = new ParkedPosition(Version(reader, 10), Version(reader, 12), reader.GetInt32(14)) { Turn = reader.GetInt32(15) },
            });
        }

        return found;
    }

    public async Task<IReadOnlyList<ParkedEvent>> ReadEvents(
        string source, string sink, IReadOnlyList<(EntityKey Entity, ParkedPosition After)> entities, int most, long mostBytes, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT asked.place, found.place_lsn, found.place_ordinal, found.commit_lsn, found.ordinal, found.part, found.topic,
                found.event_key, found.event_value, found.headers, found.schema_version, found.parked_at,
                found.turn, found.letter_id, found.origin
            FROM unnest($3, $4, $5, $6, $7, $8, $9, $12) WITH ORDINALITY AS asked (table_name, key_id, after_lsn, after_ordinal, after_commit, after_version, after_part, after_turn, place)
            CROSS JOIN LATERAL (
                SELECT *, sum(bytes) OVER (ORDER BY place_lsn, place_ordinal, turn, commit_lsn, ordinal, part) - bytes AS bytes_before
                FROM (
                    SELECT * FROM cdc.parked_events AS stored
                    WHERE stored.source = $1 AND stored.sink = $2 AND stored.table_name = asked.table_name AND stored.key_id = asked.key_id
                        AND (stored.place_lsn, stored.place_ordinal, stored.turn, stored.commit_lsn, stored.ordinal, stored.part)
                            > (asked.after_lsn, asked.after_ordinal, asked.after_turn, asked.after_commit, asked.after_version, asked.after_part)
                    ORDER BY place_lsn, place_ordinal, turn, commit_lsn, ordinal, part
                    LIMIT $10) AS oldest) AS found
            WHERE found.bytes_before < $11
            ORDER BY asked.place, found.place_lsn, found.place_ordinal, found.turn, found.commit_lsn, found.ordinal, found.part
            """);
        command.Parameters.Add(SqlValues.Text(source));
        command.Parameters.Add(SqlValues.Text(sink));
        command.Parameters.Add(SqlValues.Texts(entities, e => e.Entity.Table));
        command.Parameters.Add(SqlValues.Texts(entities, e => StoredText.Key(e.Entity.Key)));
        command.Parameters.Add(SqlValues.Bigints(entities, e => SqlValues.Stored(e.After.Place.CommitLsn)));
        command.Parameters.Add(SqlValues.Bigints(entities, e => e.After.Place.Ordinal));
        command.Parameters.Add(SqlValues.Bigints(entities, e => SqlValues.Stored(e.After.Version.CommitLsn)));
        command.Parameters.Add(SqlValues.Bigints(entities, e => e.After.Version.Ordinal));
        command.Parameters.Add(SqlValues.Integers(entities, e => e.After.Part));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        command.Parameters.Add(new NpgsqlParameter { Value = (decimal)mostBytes, NpgsqlDbType = NpgsqlDbType.Numeric });
        command.Parameters.Add(SqlValues.Integers(entities, e => e.After.Turn));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new List<ParkedEvent>();
        while (await reader.ReadAsync(cancellation))
            found.Add(Event(reader, source, sink, entities[(int)reader.GetInt64(0) - 1].Entity));
        return found;
    }

    private static ParkedEvent Event(NpgsqlDataReader reader, string source, string sink, EntityKey entity)
    {
        var made = new SinkEvent
        {
            Entity = entity,
            Source = source,
            Version = Version(reader, 3),
            Part = reader.GetInt32(5),
            Topic = reader.GetString(6),
            Key = reader.IsDBNull(7) ? null : reader.GetFieldValue<byte[]>(7),
            Value = reader.IsDBNull(8) ? null : reader.GetFieldValue<byte[]>(8),
            Headers = StoredHeaders.Read(reader.IsDBNull(9) ? null : reader.GetString(9)),
            SchemaVersion = reader.GetInt32(10),
            Origin = (EventOrigin)reader.GetInt16(14),
        };
        return new ParkedEvent(sink, Version(reader, 1), made, reader.GetFieldValue<DateTimeOffset>(11))
        {
            Turn = reader.GetInt32(12),
            LetterId = reader.IsDBNull(13) ? null : reader.GetInt64(13),
        };
    }

    private static ChangeVersion Version(NpgsqlDataReader reader, int column) =>
        new(new Lsn((ulong)reader.GetInt64(column)), reader.GetInt64(column + 1));
}
