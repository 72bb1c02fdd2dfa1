using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Makes announced relations ready for their changes: selects, completes, numbers them, and keeps what they stood for when.</summary>
internal sealed class RelationAnnouncer(SourceConfiguration source, RelationCatalog catalog, ISchemaStore schemas, ILogger logger)
{
    private readonly HashSet<string> _said = [];

    // Which table each name in text stands for: schemas and tables may have dots in theirs.
    private readonly Dictionary<string, (string Schema, string Table)> _names = [];

    /// <summary>What a relation stands for from a place in the log on.</summary>
    /// <param name="relation">What the log announces.</param>
    /// <param name="announcement">The message itself.</param>
    /// <param name="here">The place in the log before its next change.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<CapturedRelation> Announce(RelationMessage relation, byte[] announcement, LogPlace here, CancellationToken cancellation)
    {
        var at = here.Version;
        var name = $"{relation.Schema}.{relation.Name}";
        if (source.Select(relation.Schema, relation.Name) is not { } selection)
        {
            logger.RelationNotSelected(source.Name, name);
            return new CapturedRelation(announcement, name);
        }

        if (_names.TryGetValue(name, out var first) && first != (relation.Schema, relation.Name))
        {
            SayOnce(Sql.Name(relation.Schema, relation.Name), () => logger.TableNotCaptured(
                source.Name, TableCheck.TwinLeftOut(source, Sql.Name(relation.Schema, relation.Name), name)));
            return new CapturedRelation(announcement, name);
        }

        _names[name] = (relation.Schema, relation.Name);
        var facts = await catalog.Describe(relation, here.Xid, cancellation);
        var history = await schemas.History(source.Name, relation.Oid, cancellation);
        var known = history.LastOrDefault(r => r.From <= at);
        var next = history.FirstOrDefault(r => r.From > at);
        var record = next is null && known?.From != at
            ? await Now(relation, facts, selection.Entities, known, at, cancellation)
            : await Then(relation, facts, selection.Entities, known, at, cancellation);
        SayOnce($"{name} {record.Table.Version}", () => Tell(record.Table));
        if (RelationShape.IdentifiesInPart(relation, facts))
            SayOnce($"{name} in part", () => logger.IdentifiedInPart(source.Name, name));
        var keyOnly = RelationShape.OldRowsAreKeyOnly(relation, facts);
        if (keyOnly)
            SayOnce($"{name} by key", () => logger.PartitionsIdentifiedByKey(source.Name, name));
        return new CapturedRelation(announcement, record.Table, selection.Events ?? source.Events)
        {
            OldRowsAreKeyOnly = keyOnly,
            Until = next?.From,
            Forgotten = record.From == at ? record.Forgotten : [],
        };
    }

    /// <summary>Numbers of those tables of which anything was ever captured.</summary>
    /// <param name="tables">The tables as <c>schema.table</c>.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<IReadOnlyList<int>> Known(IReadOnlyList<string> tables, CancellationToken cancellation)
    {
        var known = new List<int>();
        foreach (var table in tables)
        {
            if (await schemas.FindTable(source.Name, table, cancellation) is { } number)
                known.Add(number);
        }

        return known;
    }

    // This stretch of the log was read before: what was so then is so now, whatever the catalog says by this time.
    private async Task<RelationRecord> Then(
        RelationMessage relation, CatalogFacts facts, EntityMode entities, RelationRecord? known, ChangeVersion at, CancellationToken cancellation)
    {
        if (known is null || !RelationShape.Fits(known.Table, relation))
            return new RelationRecord(at, await Shape(relation, facts, known, cancellation), entities, []);
        if (known.Entities == entities)
            return known;

        // What is held is the configuration's choice, and that is another since.
        var record = known with { From = at, Entities = entities, Forgotten = [.. (known.From == at ? known.Forgotten : []).Union([known.Table.TableId])] };
        await schemas.Record(source.Name, relation.Oid, record, cancellation);
        return record;
    }

    private async Task<RelationRecord> Now(
        RelationMessage relation, CatalogFacts facts, EntityMode entities, RelationRecord? known, ChangeVersion at, CancellationToken cancellation)
    {
        var table = await Shape(relation, facts, known, cancellation);
        if (known is not null && known.Table.TableId == table.TableId && known.Table.Version == table.Version && known.Entities == entities)
            return known;
        var record = new RelationRecord(at, table, entities, await Forgotten(relation.Oid, known, table, entities, cancellation));
        await schemas.Record(source.Name, relation.Oid, record, cancellation);
        if (record.Forgotten.Count > 0)
            logger.TablesForgotten(source.Name, table.FullName, at);
        return record;
    }

    // What is held goes by the table's name and the row's key: under others it would be taken for what it is not.
    private async Task<IReadOnlyList<int>> Forgotten(uint oid, RelationRecord? known, TableSchema table, EntityMode entities, CancellationToken cancellation)
    {
        if (known is not null && known.Table.TableId == table.TableId)
            return known.Entities == entities && known.Table.InsertsOnly == table.InsertsOnly && ColumnMatch.ForKeys.HaveSameKey(known.Table, table) ? [] : [table.TableId];
        var before = await schemas.LatestRelation(source.Name, table.TableId, cancellation);
        if (known is null)
            return before is null || before == oid ? [] : [table.TableId];

        // It had another name. Of what went by that, nothing is left, unless another relation has it by now.
        return await schemas.LatestRelation(source.Name, known.Table.TableId, cancellation) == oid ? [table.TableId, known.Table.TableId] : [table.TableId];
    }

    // A table that was dropped since has left nothing in the catalog: its last shape is that of the history, or of the store.
    private async Task<TableSchema> Shape(RelationMessage relation, CatalogFacts facts, RelationRecord? known, CancellationToken cancellation)
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

    // The log announces a table again whenever anything about it may have changed.
    private void Tell(TableSchema table)
    {
        logger.RelationAnnounced(source.Name, table.FullName, table.Version, table.Columns.Length);
        if (table.InsertsOnly)
            logger.InsertsOnly(source.Name, table.FullName);
    }

    private void SayOnce(string what, Action say)
    {
        if (_said.Add(what))
            say();
    }
}
