using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>The shape of a table: columns as the log announces them, completed from the catalog.</summary>
internal static class RelationShape
{
    /// <summary>The shape, not numbered yet. Its key is empty when the table has none that identifies its rows in the log.</summary>
    public static TableSchema Of(RelationMessage relation, CatalogFacts catalog)
    {
        var key = Key(relation, catalog.PrimaryKey);
        var columns = new ColumnSchema[relation.Columns.Count];
        for (var i = 0; i < columns.Length; i++)
        {
            var name = relation.Columns[i].Name;
            columns[i] = new ColumnSchema
            {
                Name = name,
                TypeOid = catalog.Types[i].Oid,
                TypeModifier = catalog.Types[i].Modifier,
                TypeName = catalog.Types[i].Name,
                Element = catalog.Types[i].Element,
                Nullable = !catalog.NotNull.Contains(name) && !key.Contains(i),
            };
        }

        return new TableSchema { TableId = 0, Version = 0, Schema = relation.Schema, Name = relation.Name, Columns = columns, Key = key };
    }

    // The log says which columns identify a row; only the catalog knows their declared order, and it may be ahead of the log.
    private static int[] Key(RelationMessage relation, IReadOnlyList<string> primaryKey)
    {
        var identity = new List<int>();
        for (var i = 0; i < relation.Columns.Count; i++)
        {
            if (relation.Columns[i].InIdentity)
                identity.Add(i);
        }

        var declared = new List<int>(primaryKey.Count);
        foreach (var name in primaryKey)
        {
            for (var i = 0; i < relation.Columns.Count; i++)
            {
                if (relation.Columns[i].Name == name)
                    declared.Add(i);
            }
        }

        var wholePrimaryKey = declared.Count > 0 && declared.Count == primaryKey.Count;
        if (relation.Identity == ReplicaIdentity.Full)
            return wholePrimaryKey ? [.. declared] : [];
        return wholePrimaryKey && declared.Count == identity.Count && declared.Order().SequenceEqual(identity) ? [.. declared] : [.. identity];
    }
}
