using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>The shape of a table: columns as the log announces them, completed from the catalog.</summary>
internal static class RelationShape
{
    /// <summary>The shape, not numbered yet. Its key is empty when nothing can stand for one.</summary>
    /// <param name="relation">What the log announces.</param>
    /// <param name="catalog">What the catalog says of it.</param>
    /// <param name="last">The shape that the table had when it was last seen, where the catalog has it no more.</param>
    /// <param name="known">The shape that it had before in the log.</param>
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
    /// Whether old rows hold the key alone though the log says that they are whole: it speaks of a partitioned table, and each of its
    /// partitions has an identity of its own.
    /// </summary>
    public static bool OldRowsAreKeyOnly(RelationMessage relation, CatalogFacts catalog) =>
        relation.Identity == ReplicaIdentity.Full && catalog.PartitionIdentities.Any(i => i != ReplicaIdentity.Full);

    /// <summary>Whether what the log has of the columns that identify a row is not all of them, so that rows would share a key.</summary>
    public static bool IdentifiesInPart(RelationMessage relation, CatalogFacts catalog) =>
        IdentifiesInPart(relation, catalog, ColumnAlignment.Of(relation.Columns, catalog.Attributes));

    /// <summary>Whether a shape that is known has the columns and the identity of a relation that the catalog has no more.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation, CatalogFacts catalog) =>
        Fits(known, relation)
        && known.Columns.Zip(catalog.Types).All(c => (c.First.TypeOid, c.First.TypeModifier) == (c.Second.Oid, c.Second.Modifier));

    /// <summary>Whether a shape that is known has the name, the columns' names and the identity of a relation.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation) =>
        known.Schema == relation.Schema && known.Name == relation.Name
        && known.Columns.Select(c => c.Name).SequenceEqual(relation.Columns.Select(c => c.Name))
        && (relation.Identity == ReplicaIdentity.Full || known.InsertsOnly || known.Key.Length == 0 || known.Key.Order().SequenceEqual(Identity(relation)));

    // Computed columns that the log lacks; or partitions of a table that are known by an index of their own.
    private static bool IdentifiesInPart(RelationMessage relation, CatalogFacts catalog, int[] places) =>
        (relation.Identity is ReplicaIdentity.Default or ReplicaIdentity.Index && catalog.GeneratedIdentity.Any(a => places[a] < 0))
        || (relation.Identity is ReplicaIdentity.Default or ReplicaIdentity.Full && catalog.PartitionIdentities.Contains(ReplicaIdentity.Index));

    // The log says which columns identify a row, unless all do; their declared order stands in the catalog, which may be ahead, or is
    // still that which was known.
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

    // Empty unless the relation has all of them.
    private static int[] Placed(IReadOnlyList<int> attributes, int[] places)
    {
        int[] placed = [.. attributes.Select(a => a < 0 ? -1 : places[a])];
        return placed.Contains(-1) ? [] : placed;
    }
}
