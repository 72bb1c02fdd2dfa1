using System.Data;
using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Reads histories from all segments of a journal with one statement. A segment that retention has deleted since they were listed makes it
/// list them again.
/// </summary>
internal sealed class PostgresJournalHistories(NpgsqlDataSource control, ISchemaStore schemas) : IJournalHistories
{
    private const string IsNoTruncation = "operation <> 5";

    // Of all segments. They have no images.
    private const int MostTruncations = 100_000;

    private readonly PostgresSchemaStore _tables = new(control);

    public Task<JournalPosition> Last(string source, string table, CancellationToken cancellation) => Read(source, table, JournalWindow.All, async journal =>
    {
        foreach (var segment in Enumerable.Reverse(journal.Segments))
        {
            await using var command = control.CreateCommand($"SELECT commit_lsn, ordinal FROM {journal.Name(segment)} ORDER BY commit_lsn DESC, ordinal DESC LIMIT 1");
            var found = await PostgresDeadLetters.Read(command, r => new JournalPosition(segment.Number, r.GetVersion(0)), cancellation);
            if (found is [var last])
                return last;
        }

        return JournalPosition.Start;
    }, cancellation);

    public Task<long> Count(string source, string table, IReadOnlyList<string>? keys, JournalWindow window, CancellationToken cancellation) =>
        Read(source, table, window, async journal =>
        {
            if (journal.Segments.Count == 0)
                return 0L;
            var ofKeys = keys is null ? "" : " AND hashtextextended(entity_key, 0) IN (SELECT hashtextextended(k, 0) FROM unnest($6) AS k) AND entity_key = ANY ($6)";
            await using var command = control.CreateCommand(
                $"SELECT count(*) FROM (SELECT 1 FROM ({journal.Union(s => $"(SELECT 1 FROM {journal.Name(s)} WHERE {IsNoTruncation} AND {In()}{ofKeys} LIMIT $5)")}) AS every LIMIT $5) AS counted");
            Add(command, window);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = IJournalHistories.MostCounted });
            if (keys is not null)
                command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. keys] });
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }, cancellation);

    public Task<JournalStarts> Starts(
        string source, string table, JournalPosition after, JournalPosition last, JournalWindow window, int most, CancellationToken cancellation) =>
        Read(source, table, window, async journal =>
        {
            var segments = journal.Segments.Where(s => s.Number >= after.Segment && s.Number <= last.Segment).ToList();
            foreach (var segment in segments)
            {
                var earlier = journal.Segments.TakeWhile(s => s.Number < segment.Number)
                    .Select(s => $" AND NOT EXISTS (SELECT FROM {journal.Name(s)} AS e WHERE {IsSame("e", "looked")} AND e.{IsNoTruncation} AND {In("e.")})");

                // What is looked at is bounded, also where few entities are new.
                await using var command = control.CreateCommand(
                    $"""
                    WITH looked AS MATERIALIZED (
                        SELECT commit_lsn, ordinal, entity_key FROM {journal.Name(segment)}
                        WHERE (commit_lsn, ordinal) > ($5, $6) AND (commit_lsn, ordinal) <= ($7, $8) AND {IsNoTruncation} AND {In()}
                        ORDER BY commit_lsn, ordinal LIMIT $9)
                    SELECT commit_lsn, ordinal, CASE WHEN
                        NOT EXISTS (SELECT FROM {journal.Name(segment)} AS e WHERE {IsSame("e", "looked")} AND e.{IsNoTruncation} AND {In("e.")}
                            AND (e.commit_lsn, e.ordinal) < (looked.commit_lsn, looked.ordinal))
                        {string.Concat(earlier)}
                        THEN entity_key END
                    FROM looked ORDER BY commit_lsn, ordinal
                    """);
                Add(command, window);
                Add(command, segment.Number == after.Segment ? after.Version : ChangeVersion.None);
                Add(command, segment.Number == last.Segment ? last.Version : JournalPosition.End.Version);
                command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
                var looked = await PostgresDeadLetters.Read(command, r => (Version: r.GetVersion(0), Key: r.IsDBNull(2) ? null : r.GetString(2)), cancellation);
                if (looked.Count > 0)
                    return new JournalStarts([.. looked.Select(l => l.Key).OfType<string>()], new JournalPosition(segment.Number, looked[^1].Version));
            }

            return new JournalStarts([], null);
        }, cancellation);

    public Task<IReadOnlyList<JournalHistory>> Histories(
        string source, string table, IReadOnlyList<HistoryPlace> entities, JournalWindow window, int most, long mostBytes, CancellationToken cancellation) =>
        Read<IReadOnlyList<JournalHistory>>(source, table, JournalWindow.All, async journal =>
        {
            if (journal.Segments.Count == 0)
                return [.. entities.Select(_ => new JournalHistory([], null, null))];
            var (found, cutAt) = await Pages(journal, entities, window, most, mostBytes, cancellation);
            var truncations = await Truncations(journal, cancellation);
            var closings = window is { UntilTime: null, UntilLsn: null } ? [] : await Closings(journal, entities, cancellation);
            var pages = new List<JournalHistory>();
            for (var i = 0; i < entities.Count; i++)
            {
                var (place, rows) = (entities[i], found[i]);
                var hasMore = i >= cutAt || rows.Count == most;
                var changes = new List<JournalRow>();
                var last = place.Last;
                foreach (var row in rows)
                {
                    AddDeletion(last, row.Position);
                    changes.Add(row.Row);
                    last = row;
                }

                if (!hasMore)
                    AddDeletion(last, new JournalPosition(int.MaxValue, place.UpTo));
                var closing = !hasMore && last is not null && closings.TryGetValue(i, out var newest) && newest.Position > last.Position ? newest : null;
                if (closing is not null && DeletionBetween(closing, new JournalPosition(int.MaxValue, place.UpTo), place) is { } end)
                    closing = end;
                pages.Add(new JournalHistory(changes, hasMore ? place with { Last = last } : null, closing?.Row));

                void AddDeletion(JournalEntry? behind, JournalPosition before)
                {
                    if (DeletionBetween(behind, before, place) is { Row.Change: var end } deletion && PostgresJournal.IsIn(window, end.Transaction.CommitMicros, end.Version.CommitLsn))
                        changes.Add(deletion.Row);
                }
            }

            return pages;

            JournalEntry? DeletionBetween(JournalEntry? behind, JournalPosition before, HistoryPlace place) =>
                behind is { Row.Change.Operation: not ChangeOperation.Delete }
                && truncations.Find(t => t.Position > behind.Position) is { } truncation && truncation.Position < before && journal.IsUpTo(truncation.Position, place.UpTo)
                    ? Deletion(behind, truncation)
                    : null;
        }, cancellation);

    // The rows of each entity, and the number of the entity at which the bytes ran out.
    private async Task<(List<JournalEntry>[] Found, int CutAt)> Pages(
        Journal journal, IReadOnlyList<HistoryPlace> entities, JournalWindow window, int most, long mostBytes, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            $"""
            SELECT {PostgresJournal.Columns}, {PostgresJournal.Images}, asked.place, found.number
            FROM {Asked} CROSS JOIN LATERAL (
                SELECT * FROM (
                    {journal.Union(s => $"(SELECT {s.Number} AS number, * FROM {journal.Name(s)} WHERE {OfAsked(journal, s)} AND {In()} AND ({s.Number}, commit_lsn, ordinal) > (asked.after_segment, asked.after_lsn, asked.after_ordinal) ORDER BY commit_lsn, ordinal LIMIT $11)")}
                ) AS every ORDER BY number, commit_lsn, ordinal LIMIT $11) AS found
            ORDER BY asked.place, found.number, found.commit_lsn, found.ordinal
            """);
        Add(command, window);
        Add(command, entities);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
        var pages = entities.Select(_ => new List<JournalEntry>()).ToArray();
        var bytes = 0L;
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var row = await StoredJournalRow.Read(reader, 0, cancellation);
            var place = (int)reader.GetInt64(19) - 1;
            if (bytes >= mostBytes)
                return (pages, place);
            bytes += row.Bytes;
            pages[place].Add(await Entry(journal, row with { Position = row.Position with { Segment = reader.GetInt32(20) } }, cancellation));
        }

        return (pages, entities.Count);
    }

    // The last change of each entity, whether it is in the window or not.
    private async Task<Dictionary<int, JournalEntry>> Closings(Journal journal, IReadOnlyList<HistoryPlace> entities, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            $"""
            SELECT {PostgresJournal.Columns}, {PostgresJournal.Images}, asked.place, found.number
            FROM {Asked} CROSS JOIN LATERAL (
                SELECT * FROM (
                    {journal.Union(s => $"(SELECT {s.Number} AS number, * FROM {journal.Name(s)} WHERE {OfAsked(journal, s)} AND {In()} ORDER BY commit_lsn DESC, ordinal DESC LIMIT 1)")}
                ) AS every ORDER BY number DESC LIMIT 1) AS found
            """);
        Add(command, JournalWindow.All);
        Add(command, entities);
        var closings = new Dictionary<int, JournalEntry>();
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var row = await StoredJournalRow.Read(reader, 0, cancellation);
            var place = (int)reader.GetInt64(19) - 1;
            closings[place] = await Entry(journal, row with { Position = row.Position with { Segment = reader.GetInt32(20) } }, cancellation);
        }

        return closings;
    }

    private async Task<List<JournalEntry>> Truncations(Journal journal, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            $"""
            SELECT {PostgresJournal.Columns}, {PostgresJournal.NoImages}, number
            FROM ({journal.Union(s => $"(SELECT {s.Number} AS number, * FROM {journal.Name(s)} WHERE operation = 5)")}) AS every
            ORDER BY number, commit_lsn, ordinal LIMIT {MostTruncations}
            """);
        var found = new List<JournalEntry>();
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var row = await StoredJournalRow.Read(reader, 0, cancellation);
            found.Add(await Entry(journal, row with { Position = row.Position with { Segment = reader.GetInt32(19) } }, cancellation));
        }

        return found;
    }

    private static JournalEntry Deletion(JournalEntry last, JournalEntry truncation) => truncation with
    {
        Row = new JournalRow
        {
            Change = truncation.Row.Change with { Operation = ChangeOperation.Delete, Entity = last.Row.Change.Entity },
            Before = last.Row.After,
            BeforeTable = last.Row.Change.Table,
            IsTooLarge = last.Row.IsTooLarge,
        },
    };

    private async Task<JournalEntry> Entry(Journal journal, StoredJournalRow row, CancellationToken cancellation) => row.ToEntry(
        journal.Table, await schemas.Get(journal.TableId, row.SchemaVersion, cancellation),
        row.BeforeSchema is { } before ? await schemas.Get(journal.TableId, before, cancellation) : null);

    private const string Asked = "unnest($5, $6, $7, $8, $9, $10) WITH ORDINALITY AS asked (key, after_segment, after_lsn, after_ordinal, up_to_lsn, up_to_ordinal, place)";

    // An earlier era may have higher versions, and all its changes are older.
    private static string OfAsked(Journal journal, Segment segment) =>
        $"hashtextextended(entity_key, 0) = hashtextextended(asked.key, 0) AND entity_key = asked.key AND {IsNoTruncation}"
        + (segment.Era == journal.Era ? " AND (commit_lsn, ordinal) <= (asked.up_to_lsn, asked.up_to_ordinal)" : "");

    private static string IsSame(string left, string right) =>
        $"hashtextextended({left}.entity_key, 0) = hashtextextended({right}.entity_key, 0) AND {left}.entity_key = {right}.entity_key";

    // The window has the parameters $1 to $4.
    private static string In(string alias = "") =>
        $"($1::bigint IS NULL OR {alias}commit_micros >= $1) AND ($2::bigint IS NULL OR {alias}commit_micros < $2) "
        + $"AND ($3::bigint IS NULL OR {alias}commit_lsn >= $3) AND ($4::bigint IS NULL OR {alias}commit_lsn < $4)";

    private static void Add(NpgsqlCommand command, IReadOnlyList<HistoryPlace> entities)
    {
        command.Parameters.Add(SqlValues.Texts(entities, e => e.Key));
        command.Parameters.Add(SqlValues.Integers(entities, e => e.Last?.Position.Segment ?? 0));
        command.Parameters.Add(SqlValues.Bigints(entities, e => SqlValues.Stored(e.Last?.Position.Version.CommitLsn ?? Lsn.None)));
        command.Parameters.Add(SqlValues.Bigints(entities, e => e.Last?.Position.Version.Ordinal ?? 0));
        command.Parameters.Add(SqlValues.Bigints(entities, e => SqlValues.Stored(e.UpTo.CommitLsn)));
        command.Parameters.Add(SqlValues.Bigints(entities, e => e.UpTo.Ordinal));
    }

    private static void Add(NpgsqlCommand command, JournalWindow window) => PostgresJournal.Add(command, window);

    private static void Add(NpgsqlCommand command, ChangeVersion bound)
    {
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = SqlValues.Stored(bound.CommitLsn) });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = bound.Ordinal });
    }

    private Task<T> Read<T>(string source, string table, JournalWindow window, Func<Journal, Task<T>> read, CancellationToken cancellation) => QueryGuard.Run(async () =>
    {
        var tableId = await _tables.FindTable(source, table, cancellation) ?? 0;
        for (var again = 0; ; again++)
        {
            var journal = new Journal(table, tableId, await Segments(tableId, window, cancellation));
            try
            {
                return await read(journal);
            }
            catch (PostgresException gone) when (gone.SqlState == PostgresErrorCodes.UndefinedTable && again < 10)
            {
                // Retention has deleted a segment since it was listed.
            }
        }
    });

    private async Task<IReadOnlyList<Segment>> Segments(int tableId, JournalWindow window, CancellationToken cancellation)
    {
        await using var command = control.CreateCommand(
            """
            SELECT number, era FROM cdc.journal_segments
            WHERE table_id = $5 AND ($1::bigint IS NULL OR last_micros >= $1) AND ($2::bigint IS NULL OR first_micros < $2)
                AND ($3::bigint IS NULL OR to_lsn IS NULL OR to_lsn > $3) AND ($4::bigint IS NULL OR from_lsn < $4)
            ORDER BY number
            """);
        Add(command, window);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = tableId });
        return await PostgresDeadLetters.Read(command, r => new Segment(r.GetInt32(0), r.GetInt32(1)), cancellation);
    }

    private readonly record struct Segment(int Number, int Era);

    private sealed record Journal(string Table, int TableId, IReadOnlyList<Segment> Segments)
    {
        /// <summary>The newest era. Versions of an older one cannot be compared with its versions.</summary>
        public int Era { get; } = Segments.Count > 0 ? Segments[^1].Era : 0;

        public string Name(Segment segment) => string.Create(CultureInfo.InvariantCulture, $"cdc.journal_{TableId}_{segment.Number}");

        public string Union(Func<Segment, string> select) => string.Join("\nUNION ALL ", Segments.Select(select));

        public bool IsUpTo(JournalPosition position, ChangeVersion upTo) =>
            position.Version <= upTo || Segments.Any(s => s.Number == position.Segment && s.Era < Era);
    }
}
