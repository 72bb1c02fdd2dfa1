using CdcOrleans.Capture.Postgres.Replication;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Finds out what is certain of a relation that a transaction of the log has altered, while that transaction is not visible yet. It may
/// wait for this reader, when the server takes the reader for a synchronous standby, so its changes must not wait for it. Then there are
/// the relation message, which has the columns after the alteration, and the catalog as it was before.
/// </summary>
internal static class UnseenAlteration
{
    private const string UnknownType = "???";

    /// <summary>Makes the facts of the relation after the alteration; null when its key or a type is not certain.</summary>
    /// <param name="relation">The relation message.</param>
    /// <param name="before">What the catalog had before the alteration; without attributes when the relation is new.</param>
    /// <param name="keepsPrimaryKey">Whether the index of the primary key was certainly not dropped.</param>
    public static CatalogFacts? Facts(RelationMessage relation, CatalogFacts before, bool keepsPrimaryKey)
    {
        if (Types(relation, before.Types) is not { } types || Key(relation, before, keepsPrimaryKey) is not { } key)
            return null;
        var live = before.Attributes.Where(a => !a.IsDropped).ToDictionary(a => a.Name);
        List<CatalogAttribute> attributes =
        [
            .. relation.Columns.Select(c => new CatalogAttribute(
                0, c.Name, c.TypeOid, live.GetValueOrDefault(c.Name) is { NotNull: true } same && same.TypeOid == c.TypeOid, null)),
        ];

        // A generated column of the identity that the log lacks.
        List<int> generated = [];
        foreach (var attribute in before.Identity.Select(i => before.Attributes[i]).Where(a => a.IsGenerated && relation.Columns.All(c => c.Name != a.Name)))
        {
            generated.Add(attributes.Count);
            attributes.Add(attribute with { Number = 0 });
        }

        var isUnique = before.PrimaryKey.Count == 0 && Identity(relation).Length == 0;
        return new CatalogFacts
        {
            IsUnseen = true,
            Attributes = attributes,
            Types = types,
            PrimaryKey = isUnique ? [] : key,
            UniqueIndex = isUnique ? key : [],
            Identity = generated,

            // The transaction may have dropped the key and added it again.
            KeysMayRepeat = true,
            PartitionIdentities = before.PartitionIdentities,
        };
    }

    // A type that is not visible was created by the same transaction, or an earlier one that is not visible. The log names it before the
    // relation. For a domain it names the base type, and for an array nothing says what its elements are: neither is certain.
    private static List<CatalogType>? Types(RelationMessage relation, IReadOnlyList<CatalogType> known)
    {
        var types = new List<CatalogType>(known.Count);
        foreach (var (type, column) in known.Zip(relation.Columns))
        {
            if (!type.IsGone && type.Element is not { TypeName: UnknownType })
                types.Add(type);
            else if (type.IsGone && type.Oid == column.TypeOid && relation.TypeNames.TryGetValue(type.Oid, out var name) && !name.IsBuiltIn && name.Name[0] != '_')
                types.Add(type with { Name = name.Text, IsGone = false });
            else
                return null;
        }

        return types;
    }

    // The key as indexes into the relation's columns, in its order.
    private static IReadOnlyList<int>? Key(RelationMessage relation, CatalogFacts before, bool keepsPrimaryKey)
    {
        var identity = Identity(relation);
        var primary = Placed(before.PrimaryKey, before, relation);
        if (identity.Length > 0)
        {
            if (identity.Length == 1 || primary is null || !primary.Order().SequenceEqual(identity))
                return identity.Length == 1 || relation.Identity == ReplicaIdentity.Index ? identity : Renamed(identity, before, keepsPrimaryKey);
            return primary;
        }

        // The log does not say what the key is now.
        if (before.Attributes.Count == 0)
            return null;
        return before.PrimaryKey.Count > 0 ? primary : Placed(before.UniqueIndex, before, relation);
    }

    // The columns of the identity are those of the primary key, in the order of the columns. If it is still the same index, they are also the
    // same columns, under other names.
    private static List<int>? Renamed(int[] identity, CatalogFacts before, bool keepsPrimaryKey)
    {
        if (!keepsPrimaryKey || before.PrimaryKey.Count != identity.Length)
            return null;
        var inOrder = before.PrimaryKey.Order().ToList();
        return [.. before.PrimaryKey.Select(a => identity[inOrder.IndexOf(a)])];
    }

    private static List<int>? Placed(IReadOnlyList<int> attributes, CatalogFacts before, RelationMessage relation)
    {
        var columns = relation.Columns.ToList();
        List<int> placed = [.. attributes.Select(a => columns.FindIndex(c => c.Name == before.Attributes[a].Name))];
        return placed.Contains(-1) ? null : placed;
    }

    private static int[] Identity(RelationMessage relation) => relation.Identity == ReplicaIdentity.Full
        ? []
        : [.. Enumerable.Range(0, relation.Columns.Count).Where(i => relation.Columns[i].InIdentity)];
}
