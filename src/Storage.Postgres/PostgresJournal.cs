using System.Data;
using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Reads journals, one segment after the other: each is a table of its own, and their order is that of the changes. Segments that cannot
/// have a change of the window are not read.
/// </summary>
internal sealed class PostgresJournal(NpgsqlDataSource queries, ISchemaStore schemas) : IJournalReader
{
    /// <summary>Most bytes of the images of one change in a history.</summary>
    public const int MostShown = 8 << 20;

    /// <summary>The columns of <see cref="StoredJournalRow"/>. The images follow.</summary>
    public const string Columns =
        """
        commit_lsn, ordinal, commit_micros, xid, lsn, previous_lsn, origin_lsn, schema_version, before_schema, total_order, table_order, operation,
        before_is_key, has_omitted, entity_key, origin
        """;

    private const string NewestFirst = "commit_lsn DESC, ordinal DESC";

    private const string OldestFirst = "commit_lsn, ordinal";

    /// <summary>No images, where nobody needs them.</summary>
    public const string NoImages = "NULL::bytea, NULL::bytea, NULL::bytea";

    /// <summary>The images.</summary>
    public const string Images = "before, after, other";

    private const string OfEntity = "hashtextextended(entity_key, 0) = hashtextextended($10, 0) AND entity_key = $10";

    private const string IsTruncation = "operation = 5";

    // Of one segment. They have no images.
    private const int MostTruncations = 100_000;

    private static readonly string Shown =
        $"""
        CASE WHEN coalesce(octet_length(before), 0)::bigint + coalesce(octet_length(after), 0) > {MostShown} THEN CASE WHEN before IS NOT NULL THEN ''::bytea END ELSE before END,
        CASE WHEN coalesce(octet_length(before), 0)::bigint + coalesce(octet_length(after), 0) > {MostShown} THEN CASE WHEN after IS NOT NULL THEN ''::bytea END ELSE after END,
        CASE WHEN octet_length(other) <= {MostShown} THEN other END
        """;

    private static readonly ChangeVersion End = JournalPosition.End.Version;

    // Finds tables over the same connections; the schemas of rows come from the store that the pipeline uses.
    private readonly PostgresSchemaStore _tables = new(queries);

    public Task<IReadOnlyList<JournalEntry>> Read(
        string source, string table, JournalPosition after, JournalWindow window, int most, long mostBytes, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        var found = new List<JournalEntry>();
        if (await _tables.FindTable(source, table, cancellation) is not { } tableId)
            return found;
        var bytes = 0L;
        foreach (var segment in await Segments(tableId, window, cancellation))
        {
            if (segment < after.Segment)
                continue;
            var stored = await Rows(
                tableId, segment, "true", OldestFirst, segment == after.Segment ? after.Version : ChangeVersion.None, End, window, null, most - found.Count, mostBytes - bytes, Images, cancellation);
            foreach (var row in stored)
            {
                found.Add(await Entry(tableId, table, row, cancellation));
                bytes += row.Bytes;
            }

            if (found.Count >= most || bytes >= mostBytes)
                break;
        }

        return (IReadOnlyList<JournalEntry>)found;
    });

    public Task<JournalPage> History(
        string source, EntityKey entity, JournalPosition before, JournalWindow window, int most, long mostBytes, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        if (await _tables.FindTable(source, entity.Table, cancellation) is not { } tableId)
            return new JournalPage([], HasMore: false);

        // One more than the page, to know whether there are more.
        var segments = (await Segments(tableId, window, cancellation)).Reverse().Where(s => s <= before.Segment).ToList();
        var rows = new List<StoredJournalRow>();
        var bytes = 0L;
        var isCut = false;
        foreach (var segment in segments)
        {
            if (isCut = rows.Count > most || bytes >= mostBytes)
                break;
            var upper = segment == before.Segment ? before.Version : End;
            rows.AddRange(await Rows(
                tableId, segment, OfEntity, NewestFirst, ChangeVersion.None, upper, window, entity.Key, most + 1 - rows.Count, mostBytes - bytes, Shown, cancellation));
            bytes = rows.Sum(r => r.Bytes);
        }

        isCut |= rows.Count > most || bytes >= mostBytes;
        if (await Truncations(tableId, entity, before, isCut, window, rows, cancellation) is { Count: > 0 } truncations)
            rows = [.. rows.Concat(truncations).OrderByDescending(r => r.Position)];
        var entries = new List<JournalEntry>();
        foreach (var row in rows.Take(most))
            entries.Add(await Entry(tableId, entity.Table, row, cancellation));
        return new JournalPage(entries, isCut || rows.Count > most);
    });

    public Task<IReadOnlyList<JournalStatus>> List(CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        await using var command = queries.CreateCommand(
            """
            SELECT t.source, t.name, j.table_id, count(s)::int, coalesce(sum(s.bytes), 0)::bigint, min(s.first_micros)
            FROM cdc.journals AS j JOIN cdc.tables AS t USING (table_id) LEFT JOIN cdc.journal_segments AS s USING (table_id)
            GROUP BY t.source, t.name, j.table_id ORDER BY t.source, t.name
            """);
        return await PostgresDeadLetters.Read(
            command,
            r => new JournalStatus(
                r.GetString(0), r.GetString(1), r.GetInt32(2), r.GetInt32(3), r.GetInt64(4), r.IsDBNull(5) ? null : DateTimeOffset.UnixEpoch.AddMicroseconds(r.GetInt64(5))),
            cancellation);
    });

    // A truncation belongs to the history of an entity when the entity existed then: it is the first one after a change that is no deletion.
    // That change, and truncations between, may be before the window.
    private async Task<List<StoredJournalRow>> Truncations(
        int tableId, EntityKey entity, JournalPosition before, bool isCut, JournalWindow window, List<StoredJournalRow> rows, CancellationToken cancellation)
    {
        var sinceEver = window with { SinceTime = null, SinceLsn = null };
        var all = new List<StoredJournalRow>();
        var segments = (await Segments(tableId, sinceEver, cancellation)).Where(s => s <= before.Segment && (!isCut || s >= rows[^1].Position.Segment)).ToList();
        foreach (var segment in segments)
        {
            var upper = segment == before.Segment ? before.Version : End;
            all.AddRange(await Rows(
                tableId, segment, IsTruncation, OldestFirst, ChangeVersion.None, upper, sinceEver, null, MostTruncations, long.MaxValue, NoImages, cancellation));
        }

        if (all.Count == 0)
            return all;
        var changes = rows.ToList();
        if (!isCut && await LastBefore(tableId, entity, segments, changes.Count > 0 ? changes[^1].Position : before, sinceEver, cancellation) is { } earlier)
            changes.Add(earlier);
        var found = new List<StoredJournalRow>();
        for (var i = 0; i < changes.Count; i++)
        {
            if (changes[i].Operation == ChangeOperation.Delete)
                continue;
            var first = all.Find(t => t.Position > changes[i].Position);
            if (first is not null && (i == 0 || first.Position < changes[i - 1].Position) && first.IsIn(window))
                found.Add(first);
        }

        return found;
    }

    // The newest change of an entity before a position.
    private async Task<StoredJournalRow?> LastBefore(
        int tableId, EntityKey entity, List<int> segments, JournalPosition position, JournalWindow window, CancellationToken cancellation)
    {
        foreach (var segment in Enumerable.Reverse(segments).Where(s => s <= position.Segment))
        {
            var upper = segment == position.Segment ? position.Version : End;
            var found = await Rows(
                tableId, segment, OfEntity, NewestFirst, ChangeVersion.None, upper, window, entity.Key, 1, long.MaxValue, NoImages, cancellation);
            if (found is [var row])
                return row;
        }

        return null;
    }

    // Numbers of the segments that may have a change of the window, in their order.
    private async Task<IReadOnlyList<int>> Segments(int tableId, JournalWindow window, CancellationToken cancellation)
    {
        await using var command = queries.CreateCommand(
            """
            SELECT number FROM cdc.journal_segments
            WHERE table_id = $1 AND ($2 IS NULL OR last_micros >= $2) AND ($3 IS NULL OR first_micros < $3)
                AND ($4 IS NULL OR to_lsn IS NULL OR to_lsn > $4) AND ($5 IS NULL OR from_lsn < $5)
            ORDER BY number
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        Add(command, window);
        return await PostgresDeadLetters.Read(command, r => r.GetInt32(0), cancellation);
    }

    private async Task<List<StoredJournalRow>> Rows(
        int tableId, int segment, string condition, string order, ChangeVersion after, ChangeVersion before, JournalWindow window, string? key, int most, long mostBytes,
        string images, CancellationToken cancellation)
    {
        await using var command = queries.CreateCommand(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            SELECT {Columns}, {images} FROM cdc.journal_{tableId}_{segment}
            WHERE (commit_lsn, ordinal) > ($6, $7) AND (commit_lsn, ordinal) < ($8, $9) AND {condition}
                AND ($2 IS NULL OR commit_micros >= $2) AND ($3 IS NULL OR commit_micros < $3)
                AND ($4 IS NULL OR commit_lsn >= $4) AND ($5 IS NULL OR commit_lsn < $5)
            ORDER BY {order} LIMIT $1
            """));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        Add(command, window);
        foreach (var bound in (ChangeVersion[])[after, before])
        {
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = SqlValues.Stored(bound.CommitLsn) });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = bound.Ordinal });
        }

        if (key is not null)
            command.Parameters.Add(SqlValues.Text(key));
        var found = new List<StoredJournalRow>();
        try
        {
            await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
            var bytes = 0L;
            while ((found.Count == 0 || bytes < mostBytes) && await reader.ReadAsync(cancellation))
            {
                var row = await StoredJournalRow.Read(reader, segment, cancellation);
                bytes += row.Bytes;
                found.Add(row);
            }
        }
        catch (PostgresException gone) when (gone.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            // Retention has deleted the segment since it was listed.
        }

        return found;
    }

    /// <summary>Adds the bounds of a window as four parameters.</summary>
    public static void Add(NpgsqlCommand command, JournalWindow window)
    {
        foreach (var bound in (long?[])[Micros(window.SinceTime), Micros(window.UntilTime), Position(window.SinceLsn), Position(window.UntilLsn)])
            command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint, Value = bound is { } value ? value : DBNull.Value });
    }

    /// <summary>Whether a change of a transaction is in a window.</summary>
    /// <param name="window">The window.</param>
    /// <param name="commitMicros">When the transaction was committed, in microseconds since 1970.</param>
    /// <param name="commitLsn">Position of its commit record.</param>
    public static bool IsIn(JournalWindow window, long commitMicros, Lsn commitLsn) =>
        !(commitMicros < Micros(window.SinceTime)) && !(commitMicros >= Micros(window.UntilTime))
        && !(commitLsn < window.SinceLsn) && !(commitLsn >= window.UntilLsn);

    /// <summary>A time in microseconds since 1970.</summary>
    public static long? Micros(DateTimeOffset? time) => time is { } known ? (known - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond : null;

    private static long? Position(Lsn? lsn) => lsn is { } known ? (long)Math.Min(known.Value, long.MaxValue) : null;

    private async Task<JournalEntry> Entry(int tableId, string table, StoredJournalRow row, CancellationToken cancellation) => row.ToEntry(
        table, await schemas.Get(tableId, row.SchemaVersion, cancellation),
        row.BeforeSchema is { } before ? await schemas.Get(tableId, before, cancellation) : null);
}
