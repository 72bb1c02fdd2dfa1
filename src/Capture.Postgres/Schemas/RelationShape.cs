using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Makes the schema of a table from a relation message and the catalog.</summary>
internal static class RelationShape
{
    /// <summary>Makes the schema, without its numbers. Its key is empty when nothing can serve as a key.</summary>
    /// <param name="relation">The relation message.</param>
    /// <param name="catalog">What the catalog has of the relation.</param>
    /// <param name="last">The last known schema of the table, when the catalog does not have the table any more.</param>
    /// <param name="known">The schema version that was valid before this message.</param>
    public static TableSchema Of(RelationMessage relation, CatalogFacts catalog, TableSchema? last = null, TableSchema? known = null)
    {
        var places = ColumnAlignment.Of(relation.Columns, catalog.Attributes);
        var primaryKey = last is null ? Placed(catalog.PrimaryKey, places) : Placed(last, relation);
        var key = IdentifiesInPart(relation, catalog, places)
            ? []
            : Key(relation, primaryKey, known is null ? [] : Placed(known, relation), OldRowsAreKeyOnly(relation, catalog) ? [] : Placed(catalog.UniqueIndex, places));
        var numbers = ColumnNumbers.Of(relation, catalog, places, known);
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
                Number = numbers[i],
            };
        }

        return new TableSchema
        {
            TableId = 0, Version = 0, Schema = relation.Schema, Name = relation.Name, Columns = columns, Key = key,
            RelationOid = relation.Oid,
            InsertsOnly = relation.Identity != ReplicaIdentity.Full && !relation.Columns.Any(c => c.InIdentity),
        };
    }

    /// <summary>
    /// Whether old rows have only the key, although the message says REPLICA IDENTITY FULL. The message describes the partitioned table,
    /// but each partition has a replica identity of its own.
    /// </summary>
    public static bool OldRowsAreKeyOnly(RelationMessage relation, CatalogFacts catalog) =>
        relation.Identity == ReplicaIdentity.Full && catalog.PartitionIdentities.Any(i => i != ReplicaIdentity.Full);

    /// <summary>Whether the log has only some of the columns that identify a row, so that different rows would have the same key.</summary>
    public static bool IdentifiesInPart(RelationMessage relation, CatalogFacts catalog) =>
        IdentifiesInPart(relation, catalog, ColumnAlignment.Of(relation.Columns, catalog.Attributes));

    /// <summary>Whether a known schema has the columns and the identity of a relation that the catalog does not have any more.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation, CatalogFacts catalog) =>
        Fits(known, relation)
        && known.Columns.Zip(catalog.Types).All(c => (c.First.TypeOid, c.First.TypeModifier) == (c.Second.Oid, c.Second.Modifier));

    /// <summary>Whether a known schema has the table name, the column names and the identity of a relation.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation) =>
        known.Schema == relation.Schema && known.Name == relation.Name
        && known.Columns.Select(c => c.Name).SequenceEqual(relation.Columns.Select(c => c.Name))
        && (relation.Identity == ReplicaIdentity.Full || known.InsertsOnly || known.Key.Length == 0 || known.Key.Order().SequenceEqual(Identity(relation)));

    // Either a column of the identity is not in the log, or a partition is identified by an index of its own. A column that is newer than the log
    // may have joined the identity later.
    private static bool IdentifiesInPart(RelationMessage relation, CatalogFacts catalog, int[] places) =>
        (relation.Identity is ReplicaIdentity.Default or ReplicaIdentity.Index && catalog.Identity.Any(a => places[a] < 0 && (catalog.Attributes[a].IsGenerated || catalog.Attributes[a].IsSettled)))
        || (relation.Identity is ReplicaIdentity.Default or ReplicaIdentity.Full && catalog.PartitionIdentities.Contains(ReplicaIdentity.Index));

    // The log has the columns of the replica identity, but not their order in the key. The order is in the catalog, which may be newer than
    // the log, or it is that of the schema version before.
    private static int[] Key(RelationMessage relation, int[] primaryKey, int[] known, int[] uniqueIndex)
    {
        var identity = Identity(relation);
        if (identity.Length > 0 && relation.Identity != ReplicaIdentity.Full)
        {
            if (primaryKey.Order().SequenceEqual(identity))
                return primaryKey;
            return known.Order().SequenceEqual(identity) ? known : identity;
        }

        return primaryKey.Length > 0 ? primaryKey : uniqueIndex;
    }

    private static int[] Identity(RelationMessage relation) =>
        [.. Enumerable.Range(0, relation.Columns.Count).Where(i => relation.Columns[i].InIdentity)];

    private static int[] Placed(TableSchema last, RelationMessage relation)
    {
        int[] placed = [.. last.Key.Select(k => relation.Columns.ToList().FindIndex(c => c.Name == last.Columns[k].Name))];
        return placed.Contains(-1) ? [] : placed;
    }

    // Empty unless the relation has all of these columns.
    private static int[] Placed(IReadOnlyList<int> attributes, int[] places)
    {
        int[] placed = [.. attributes.Select(a => a < 0 ? -1 : places[a])];
        return placed.Contains(-1) ? [] : placed;
    }
}
