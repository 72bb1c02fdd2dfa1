using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Which columns of a relation are those that it had when it was announced before. Columns stay in the order of creation; between the two
/// announcements some were dropped, some renamed, and new ones stand behind all others. One that was there then and is in the catalog now
/// was there all the time.
/// </summary>
internal static class KnownColumns
{
    /// <summary>Per column its number, 0 where it is not certain.</summary>
    /// <param name="relation">What the log announces.</param>
    /// <param name="catalog">What the catalog says of it by now.</param>
    /// <param name="known">The shape that it had before.</param>
    public static int[] Of(RelationMessage relation, CatalogFacts catalog, TableSchema known)
    {
        var live = catalog.Attributes.Where(a => !a.IsDropped).ToDictionary(a => a.Number);
        var numbers = new int[relation.Columns.Count];
        var next = 0;
        foreach (var column in known.Columns)
        {
            var now = column.Number == 0 ? null : live.GetValueOrDefault(column.Number);
            if (next < numbers.Length && (relation.Columns[next].Name == column.Name || relation.Columns[next].Name == now?.Name))
                numbers[next++] = now?.Number ?? 0;
            else if (column.Number == 0 || now is not null)
                return new int[numbers.Length];
        }

        return numbers;
    }
}
