using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Handles relation messages: decides whether the table is captured, completes its schema from the catalog, gives it a number, and keeps
/// the history of the relation.
/// </summary>
internal sealed class RelationAnnouncer(SourceConfiguration source, RelationCatalog catalog, RowsOrigins origins, ISchemaStore schemas, ILogger logger)
{
    private readonly HashSet<string> _logged = [];
    private readonly RowsDoubts _doubts = new();

    // The transaction that altered each relation, as long as it is not known to be visible.
    private readonly Dictionary<uint, uint> _unseen = [];

    // The table that each name schema.table stands for. Dots in names are allowed, so two tables can have the same text.
    private readonly Dictionary<string, (string Schema, string Table)> _names = [];

    /// <summary>Finds the table schema that is valid for the changes after a relation message.</summary>
    /// <param name="relation">The decoded relation message.</param>
    /// <param name="announcement">The bytes of the message.</param>
    /// <param name="here">The place in the log: before the next change.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<CapturedRelation> Announce(RelationMessage relation, byte[] announcement, LogPlace here, CancellationToken cancellation)
    {
        var at = here.Version;
        var name = $"{relation.Schema}.{relation.Name}";
        if (source.Select(relation.Schema, relation.Name) is not { } selection)
        {
            logger.RelationNotSelected(source.Name, name);
            return new CapturedRelation(announcement, name) { Forgotten = await NotSelected(relation, at, cancellation) };
        }

        if (_names.TryGetValue(name, out var first) && first != (relation.Schema, relation.Name))
        {
            LogOnce(Sql.Name(relation.Schema, relation.Name), () => logger.TableNotCaptured(
                source.Name, TableCheck.NameClashLeftOut(source, Sql.Name(relation.Schema, relation.Name), name)));
            return new CapturedRelation(announcement, name);
        }

        _names[name] = (relation.Schema, relation.Name);
        var facts = await Describe(relation, here.Xid, cancellation);
        var history = await schemas.History(source.Name, relation.Oid, cancellation);
        facts = facts with { Types = DroppedTypes.Completed(facts.Types, relation, history) };
        var known = history.LastOrDefault(r => r.From <= at);
        var next = history.FirstOrDefault(r => r.From > at);
        var record = next is null && known?.From != at
            ? await FromCatalog(relation, facts, selection.Entities, known, at, cancellation)
            : await FromHistory(relation, facts, selection.Entities, known, at, cancellation);
        if (_doubts.Note(relation.Oid, record, isNew: next is null))
            origins.Doubted(relation.Oid, name);
        LogOnce($"{name} {record.Table.Version}", () => LogSchema(record.Table));
        if (RelationShape.IdentifiesInPart(relation, facts))
            LogOnce($"{name} in part", () => logger.IdentifiedInPart(source.Name, name));
        var keyOnly = RelationShape.OldRowsAreKeyOnly(relation, facts);
        if (keyOnly)
            LogOnce($"{name} by key", () => logger.PartitionsIdentifiedByKey(source.Name, name));
        return new CapturedRelation(announcement, record.Table, selection.Events ?? source.Events)
        {
            OldRowsAreKeyOnly = keyOnly,
            KeysMayRepeat = relation.Identity == ReplicaIdentity.Full && !keyOnly && facts.KeysMayRepeat,
            Until = next?.From ?? (IsProvisional(facts, record, at) ? new ChangeVersion(new Lsn(at.CommitLsn.Value + 1), 0) : null),
            Forgotten = record.From == at ? record.Forgotten : [],
        };
    }

    // A relation whose alteration was not visible is described again with the next transaction that changes it.
    private async Task<CatalogFacts> Describe(RelationMessage relation, uint xid, CancellationToken cancellation)
    {
        // That transaction may come while the alteration still waits, where it did not need to wait for its locks.
        if (_unseen.TryGetValue(relation.Oid, out var earlier) && earlier != xid
            && await catalog.Describe(relation, earlier, cancellation) is { IsUnseen: true } still)
            return still;
        var facts = await catalog.Describe(relation, xid, cancellation);
        if (facts.IsUnseen)
        {
            _unseen[relation.Oid] = xid;
            LogOnce($"{relation.Oid} {xid} unseen", () => logger.AlteredUnseen(source.Name, $"{relation.Schema}.{relation.Name}", xid));
        }
        else
        {
            _unseen.Remove(relation.Oid);
        }

        return facts;
    }

    // Also one that was described so before a restart.
    private static bool IsProvisional(CatalogFacts facts, RelationRecord record, ChangeVersion at) =>
        facts.IsUnseen || (record.Origin is null && record.From == at && facts.Origin is not null);

    /// <summary>Position of the log from which on rows of some tables are not doubted any more; null when none are doubted.</summary>
    public Lsn? DoubtedUntil => _doubts.Until;

    /// <summary>
    /// Returns the tables whose rows were doubted up to here: their stored rows must be forgotten once more. Then call
    /// <see cref="Settled"/>.
    /// </summary>
    /// <param name="at">The place in the log: before the first change of a transaction.</param>
    public IReadOnlyList<int> Settle(ChangeVersion at) => _doubts.End(at);

    /// <summary>Records that the stored rows of these tables were forgotten.</summary>
    public async Task Settled(CancellationToken cancellation)
    {
        foreach (var (relation, record) in _doubts.TakeEnded())
        {
            await schemas.Record(source.Name, relation, record, cancellation);
            origins.Settled(relation);
        }
    }

    /// <summary>Returns the numbers of the tables that were ever captured; other tables are left out.</summary>
    /// <param name="tables">The tables as <c>schema.table</c>.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<IReadOnlyList<int>> KnownTables(IReadOnlyList<string> tables, CancellationToken cancellation)
    {
        var known = new List<int>();
        foreach (var table in tables)
        {
            if (await schemas.FindTable(source.Name, table, cancellation) is { } number)
                known.Add(number);
        }

        return known;
    }

    // This part of the log was read before. The record of that time is still right, whatever the catalog has now.
    private async Task<RelationRecord> FromHistory(
        RelationMessage relation, CatalogFacts facts, EntityMode entities, RelationRecord? known, ChangeVersion at, CancellationToken cancellation)
    {
        if (known is null || !RelationShape.Fits(known.Table, relation))
            return new RelationRecord(at, await Schema(relation, facts, known, cancellation), entities, []);
        if (known.Entities == entities)
            return known;

        // The mode of entities comes from the configuration, which was changed since.
        var record = known with { From = at, Entities = entities, Forgotten = [.. (known.From == at ? known.Forgotten : []).Union([known.Table.TableId])] };
        await schemas.Record(source.Name, relation.Oid, record, cancellation);
        return record;
    }

    private async Task<RelationRecord> FromCatalog(
        RelationMessage relation, CatalogFacts facts, EntityMode entities, RelationRecord? known, ChangeVersion at, CancellationToken cancellation)
    {
        var table = await Schema(relation, facts, known, cancellation);
        var doubt = known is null ? null : Doubt(known, facts);
        if (known is not null && doubt is null && known.Table.TableId == table.TableId && known.Table.Version == table.Version && known.Entities == entities)
            return known;
        var forgotten = await TablesToForget(relation.Oid, known, table, entities, cancellation);
        if (forgotten.Count > 0)
            logger.TablesForgotten(source.Name, table.FullName, at);
        if (doubt is not null && entities == EntityMode.Row && !forgotten.Contains(table.TableId))
        {
            logger.RowsDoubted(source.Name, table.FullName, at, doubt);
            forgotten = [.. forgotten, table.TableId];
        }

        // A truncation needs no doubt: it has an event, and in the catalog nothing came after it.
        var isSettled = facts.IsTruncatedHere && known?.Origin?.Publication == facts.Origin?.Origin.Publication;
        var record = new RelationRecord(at, table, entities, forgotten)
        {
            Origin = facts.Origin?.Origin,
            OriginSeen = isSettled ? Lsn.None : facts.Origin?.Since ?? Lsn.None,
        };
        await schemas.Record(source.Name, relation.Oid, record, cancellation);
        return record;
    }

    // Returns why rows may have changed without an event since the last record; null when they have not. The catalog is read now, but what
    // made a new origin is in the log anywhere before the position at which it was seen first. So rows are doubted at each announcement up
    // to this position, and once after it (Settle, or the first announcement after a restart). From then on, an equal origin means that
    // nothing has happened.
    private static string? Doubt(RelationRecord known, CatalogFacts facts)
    {
        if (facts.IsUnseen)
            return "its transaction is not visible yet, so it is not known what was done";
        if (facts.Origin is not { Origin: var origin })
            return null;
        if (known.Origin is not { } before)
            return "it is not known what was done before";
        if (before == RowsOrigin.NotSelected)
            return "the table was not selected by the configuration, or had another name";
        if (before.Publication != origin.Publication)
            return "the publication's operations, tables, filters or columns were altered, and changes may not have been published";
        if (before.Files != origin.Files)
            return "its rows were rewritten, or a partition was added, removed or truncated";
        return known.From.CommitLsn > known.OriginSeen ? null : "it was altered at about this position";
    }

    // Changes of a relation that is not selected are not captured. When it is selected again, the stored rows from before are not certainly
    // right any more.
    private async Task<IReadOnlyList<int>> NotSelected(RelationMessage relation, ChangeVersion at, CancellationToken cancellation)
    {
        var history = await schemas.History(source.Name, relation.Oid, cancellation);
        if (history.LastOrDefault(r => r.From <= at) is not { } known)
            return [];
        if (known.Origin == RowsOrigin.NotSelected)
            return known.From == at ? known.Forgotten : [];
        var record = known with { From = at, Forgotten = [known.Table.TableId], Origin = RowsOrigin.NotSelected, OriginSeen = at.CommitLsn };
        await schemas.Record(source.Name, relation.Oid, record, cancellation);
        logger.RowsDoubted(source.Name, known.Table.FullName, at, "the relation is not selected by the configuration here");
        return record.Forgotten;
    }

    // A stored row is found by the name of its table and the text of its key. When one of these gets another meaning, the stored row would
    // belong to a wrong entity. So it must be forgotten.
    private async Task<IReadOnlyList<int>> TablesToForget(uint oid, RelationRecord? known, TableSchema table, EntityMode entities, CancellationToken cancellation)
    {
        if (known is not null && known.Table.TableId == table.TableId)
            return known.Entities == entities && known.Table.InsertsOnly == table.InsertsOnly && ColumnMatch.ForKeys.HaveSameKey(known.Table, table) ? [] : [table.TableId];
        var before = await schemas.LatestRelation(source.Name, table.TableId, cancellation);
        if (known is null)
            return before is null || before == oid ? [] : [table.TableId];

        // The relation was renamed. The rows under its former name are gone as well, unless another relation has that name now.
        return await schemas.LatestRelation(source.Name, known.Table.TableId, cancellation) == oid ? [table.TableId, known.Table.TableId] : [table.TableId];
    }

    // A dropped table has nothing left in the catalog. Its last schema is in the history, or in the schema store.
    private async Task<TableSchema> Schema(RelationMessage relation, CatalogFacts facts, RelationRecord? known, CancellationToken cancellation)
    {
        TableSchema? last = null;
        if (facts.Attributes.Count == 0)
        {
            last = known?.Table ?? await schemas.FindLatest(source.Name, $"{relation.Schema}.{relation.Name}", cancellation);
            if (last?.RelationOid != relation.Oid)
                last = null;
            if (last is not null && RelationShape.Fits(last, relation, facts))
                return last;
        }

        return await schemas.Register(source.Name, RelationShape.Of(relation, facts, last, known?.Table), cancellation);
    }

    // Called once per schema version, because the server repeats relation messages.
    private void LogSchema(TableSchema table)
    {
        logger.RelationAnnounced(source.Name, table.FullName, table.Version, table.Columns.Length);
        if (table.InsertsOnly)
            logger.InsertsOnly(source.Name, table.FullName);
    }

    private void LogOnce(string what, Action log)
    {
        if (_logged.Add(what))
            log();
    }
}
