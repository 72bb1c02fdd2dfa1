using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// The types of columns that the catalog does not have any more. The log has only the numbers of types, and their names: of a domain the name
/// of its base type. What they were like is in the history of the relation, or follows from the name.
/// </summary>
internal static class DroppedTypes
{
    /// <summary>Returns the types of a relation's columns, those that were dropped as far as they are known.</summary>
    /// <param name="types">The types in the catalog.</param>
    /// <param name="relation">The relation message.</param>
    /// <param name="history">The history of the relation, the oldest record first.</param>
    public static IReadOnlyList<CatalogType> Completed(IReadOnlyList<CatalogType> types, RelationMessage relation, IReadOnlyList<RelationRecord> history) =>
        types.Any(t => t.IsGone)
            ? [.. types.Zip(relation.Columns, (type, column) => type.IsGone ? Completed(type, column, relation, history) : type)]
            : types;

    private static CatalogType Completed(CatalogType type, RelationColumn column, RelationMessage relation, IReadOnlyList<RelationRecord> history)
    {
        var columns = history.Reverse().SelectMany(r => r.Table.Columns);
        if (columns.FirstOrDefault(c => c.TypeOid == column.TypeOid) is { } same)
            return Of(same);

        // A domain: the catalog has its base type, and the history what the domain made of it.
        if (type.Oid != column.TypeOid)
            return columns.FirstOrDefault(c => c.Name == column.Name && c.TypeOid == type.Oid) is { } based ? Of(based) : type;
        return relation.TypeNames.TryGetValue(column.TypeOid, out var name) ? OfName(type, name) : type;
    }

    private static CatalogType Of(ColumnSchema column) => new(column.TypeOid, column.TypeModifier, column.TypeName, column.Element);

    // The server names the array of a type like the type, with an underscore before it.
    private static CatalogType OfName(CatalogType type, TypeName name) => type with
    {
        Name = name.Text,
        Element = name.Name.Length > 1 && name.Name[0] == '_' ? new ElementSchema(type.Oid, -1, (name with { Name = name.Name[1..] }).Text, ',') : null,
    };
}
