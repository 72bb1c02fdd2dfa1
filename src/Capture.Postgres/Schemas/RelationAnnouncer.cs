using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Makes announced relations ready for their changes: selects, completes, numbers them.</summary>
internal sealed class RelationAnnouncer(SourceConfiguration source, RelationCatalog catalog, ISchemaStore schemas, ILogger logger)
{
    private readonly HashSet<string> _said = [];

    // Which table each name in text stands for: schemas and tables may have dots in theirs.
    private readonly Dictionary<string, (string Schema, string Table)> _names = [];

    /// <summary>Numbers a relation's shape.</summary>
    /// <param name="relation">The relation.</param>
    /// <param name="announcement">The message that it was read from.</param>
    /// <param name="xid">The transaction that it is announced in.</param>
    /// <param name="cancellation">Cancels.</param>
    public async Task<CapturedRelation> Announce(RelationMessage relation, byte[] announcement, uint xid, CancellationToken cancellation)
    {
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
        var facts = await catalog.Describe(relation, xid, cancellation);
        var table = await Shape(relation, facts, cancellation);
        logger.RelationAnnounced(source.Name, table.FullName, table.Version, table.Columns.Length);
        if (table.InsertsOnly)
            logger.InsertsOnly(source.Name, table.FullName);
        if (RelationShape.IdentifiesInPart(relation, facts))
            SayOnce(name, () => logger.IdentifiedInPart(source.Name, name));
        var keyOnly = RelationShape.OldRowsAreKeyOnly(relation, facts);
        if (keyOnly)
            SayOnce(name, () => logger.PartitionsIdentifiedByKey(source.Name, name));
        return new CapturedRelation(announcement, table, selection.Events ?? source.Events)
        {
            OldRowsAreKeyOnly = keyOnly,
            // A partition that comes later has an identity of its own, and is announced by the same words.
            IsAnnouncedAnew = facts.PartitionIdentities.Count > 0,
        };
    }

    // A table that was dropped since has left nothing in the catalog: its last shape stands in the store.
    private async Task<TableSchema> Shape(RelationMessage relation, CatalogFacts facts, CancellationToken cancellation)
    {
        var last = facts.Attributes.Count == 0 ? await schemas.FindLatest(source.Name, $"{relation.Schema}.{relation.Name}", cancellation) : null;
        if (last?.RelationOid != relation.Oid)
            last = null;
        if (last is not null && RelationShape.Fits(last, relation, facts))
            return last;
        return await schemas.Register(source.Name, RelationShape.Of(relation, facts, last), cancellation);
    }

    private void SayOnce(string table, Action say)
    {
        if (_said.Add(table))
            say();
    }
}
