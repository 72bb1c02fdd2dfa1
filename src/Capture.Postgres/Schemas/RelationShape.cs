using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>The shape of a table: columns as the log announces them, completed from the catalog.</summary>
internal static class RelationShape
{
    /// <summary>The shape, not numbered yet. Its key is empty when nothing can stand for one.</summary>
    public static TableSchema Of(RelationMessage relation, CatalogFacts catalog)
    {
        var places = ColumnAlignment.Of(relation.Columns, catalog.Attributes);
        var key = Key(relation, catalog, places);
        var columns = new ColumnSchema[relation.Columns.Count];
        for (var i = 0; i < columns.Length; i++)
        {
            var attribute = Array.IndexOf(places, i) is >= 0 and var index && !catalog.Attributes[index].IsDropped ? catalog.Attributes[index] : null;
            columns[i] = new ColumnSchema
            {
                Name = relation.Columns[i].Name,
                TypeOid = catalog.Types[i].Oid,
                TypeModifier = catalog.Types[i].Modifier,
                TypeName = catalog.Types[i].Name,
                Element = catalog.Types[i].Element,
                Nullable = attribute is not { NotNull: true } && !key.Contains(i),
                Default = attribute?.Default,
                Number = attribute is not null && attribute.Name == relation.Columns[i].Name ? attribute.Number : 0,
            };
        }

        return new TableSchema
        {
            TableId = 0, Version = 0, Schema = relation.Schema, Name = relation.Name, Columns = columns, Key = key,
            RelationOid = relation.Oid,
            InsertsOnly = relation.Identity != ReplicaIdentity.Full && !relation.Columns.Any(c => c.InIdentity),
        };
    }

    /// <summary>Whether a shape that is known has the columns and the identity of a relation that the catalog has no more.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation) =>
        known.Columns.Select(c => c.Name).SequenceEqual(relation.Columns.Select(c => c.Name))
        && (relation.Identity == ReplicaIdentity.Full || known.Key.Order().SequenceEqual(Identity(relation)));

    // The log says which columns identify a row, unless all do; only the catalog knows their declared order, and it may be ahead.
    private static int[] Key(RelationMessage relation, CatalogFacts catalog, int[] places)
    {
        var primaryKey = Placed(catalog.PrimaryKey, places);
        var identity = Identity(relation);
        if (identity.Length > 0 && relation.Identity != ReplicaIdentity.Full)
            return primaryKey.Order().SequenceEqual(identity) ? primaryKey : identity;
        return primaryKey.Length > 0 ? primaryKey : Placed(catalog.UniqueIndex, places);
    }

    private static int[] Identity(RelationMessage relation) =>
        [.. Enumerable.Range(0, relation.Columns.Count).Where(i => relation.Columns[i].InIdentity)];

    // Empty unless the relation has all of them.
    private static int[] Placed(IReadOnlyList<int> attributes, int[] places)
    {
        int[] placed = [.. attributes.Select(a => a < 0 ? -1 : places[a])];
        return placed.Contains(-1) ? [] : placed;
    }
}
