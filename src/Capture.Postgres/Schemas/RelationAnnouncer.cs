using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Capture;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Makes announced relations ready for their changes: selects, completes, numbers them.</summary>
internal sealed class RelationAnnouncer(SourceConfiguration source, RelationCatalog catalog, ISchemaStore schemas, ILogger logger)
{
    /// <summary>Numbers a relation's shape.</summary>
    /// <exception cref="CaptureException">The table is selected and has no key.</exception>
    public async Task<CapturedRelation> Announce(RelationMessage relation, byte[] announcement, CancellationToken cancellation)
    {
        if (source.Select(relation.Schema, relation.Name) is null)
            return new CapturedRelation(announcement, $"{relation.Schema}.{relation.Name}");

        var shape = RelationShape.Of(relation, await catalog.Describe(relation, cancellation));
        if (shape.Key.Length == 0)
            throw new CaptureException(TablesWithoutKey.Finding(source.Name, [(relation.Schema, relation.Name)]), transient: false);
        var table = await Number(shape, cancellation);
        logger.RelationAnnounced(source.Name, table.FullName, table.Version, table.Columns.Length);
        return new CapturedRelation(announcement, table);
    }

    private async Task<TableSchema> Number(TableSchema shape, CancellationToken cancellation)
    {
        try
        {
            return await schemas.Register(source.Name, shape, cancellation);
        }
        catch (Exception exception) when (exception is not (CaptureException or OperationCanceledException))
        {
            throw new CaptureException(
                $"control: the schema of table {shape.FullName} of source {source.Name} could not be stored: {exception.Message} Check the control database.",
                transient: true, exception);
        }
    }
}
