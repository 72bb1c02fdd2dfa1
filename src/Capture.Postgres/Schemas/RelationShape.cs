using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;

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
        var key = Key(relation, primaryKey, known is null ? [] : Placed(known, relation), Placed(catalog.UniqueIndex, places));
        var certain = FirstPassed(catalog, places);
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
                Number = attribute is not null && attribute.Name == relation.Columns[i].Name && attribute.Number < certain ? attribute.Number : 0,
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
    public static bool Fits(TableSchema known, RelationMessage relation, CatalogFacts catalog) =>
        Fits(known, relation)
        && known.Columns.Zip(catalog.Types).All(c => (c.First.TypeOid, c.First.TypeModifier) == (c.Second.Oid, c.Second.Modifier));

    /// <summary>Whether a shape that is known has the name, the columns' names and the identity of a relation.</summary>
    public static bool Fits(TableSchema known, RelationMessage relation) =>
        known.Schema == relation.Schema && known.Name == relation.Name
        && known.Columns.Select(c => c.Name).SequenceEqual(relation.Columns.Select(c => c.Name))
        && (relation.Identity == ReplicaIdentity.Full || known.InsertsOnly || known.Key.Order().SequenceEqual(Identity(relation)));

    /// <summary>Whether two shapes of one relation have the same columns as their key: what is one row's in one is the same row's in the other.</summary>
    public static bool SameKey(TableSchema left, TableSchema right) =>
        left.Key.Length == right.Key.Length
        && left.Key.Zip(right.Key).All(k => SameColumn(left.Columns[k.First], right.Columns[k.Second]));

    // By number, which stays when a column is renamed; by name where it has none.
    private static bool SameColumn(ColumnSchema left, ColumnSchema right) =>
        left.TypeOid == right.TypeOid && (left.Number != 0 && right.Number != 0 ? left.Number == right.Number : left.Name == right.Name);

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

    // The first column of the catalog that exists and that the log does not have; which column one behind it is, is likely and no more.
    private static int FirstPassed(CatalogFacts catalog, int[] places)
    {
        var passed = catalog.Attributes.Index().FirstOrDefault(a => !a.Item.IsDropped && places[a.Index] < 0).Item;
        return passed?.Number ?? int.MaxValue;
    }

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
