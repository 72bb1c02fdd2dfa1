using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Finds the attribute numbers (<c>attnum</c>) of a relation's columns. The log has only names, and a column may have been renamed or
/// dropped since. So a number is given only where it is certain; it follows from the schema version before, from the catalog, or from the
/// neighbouring columns. The columns of a relation are in the order of their attribute numbers.
/// </summary>
internal static class ColumnNumbers
{
    /// <summary>Returns the attribute number of each column; 0 where it is not certain.</summary>
    /// <param name="relation">The relation message.</param>
    /// <param name="catalog">What the catalog has now.</param>
    /// <param name="places">For each attribute of the catalog, the index of its column in the relation; −1 where it has none.</param>
    /// <param name="known">The schema version that was valid before this relation message; null when there was none.</param>
    public static int[] Of(RelationMessage relation, CatalogFacts catalog, int[] places, TableSchema? known)
    {
        if (catalog.IsUnseen)
            return new int[relation.Columns.Count];
        var numbers = known is null ? new int[relation.Columns.Count] : Kept(relation, catalog, known);
        FromCatalog(numbers, relation, catalog, places, known);
        FillGaps(numbers);
        return numbers;
    }

    // Numbers that columns keep from the schema version before. Between two relation messages some columns may be dropped, some renamed,
    // and new ones are only added at the end. A column that was in the schema before and is in the catalog now also existed in between. Two
    // kinds of doubt give up all numbers: a column without a number, or one that still exists but was not found at its place.
    private static int[] Kept(RelationMessage relation, CatalogFacts catalog, TableSchema known)
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

    // Numbers of columns whose name is the same in the catalog. A name in the catalog may belong to another column than it did when the log
    // was written. That is possible after an attribute that the relation message lacks but may have had at that time: the publication's
    // column list left it out, or it was dropped later and may have had any name. Such an attribute makes the following columns doubtful.
    // These attributes do not make them doubtful: a settled one (it has not changed since the log was written), a generated one (the log
    // need not have it), and one that the schema version before did not have and that is not newer than its columns. After a column whose
    // number is certain, the doubt ends.
    private static void FromCatalog(int[] numbers, RelationMessage relation, CatalogFacts catalog, int[] places, TableSchema? known)
    {
        HashSet<int> before = [.. known is null ? [] : known.Columns.Select(c => c.Number)];
        var newest = before.Count == 0 || before.Contains(0) ? 0 : before.Max();
        var isDoubtful = false;
        foreach (var (attribute, place) in catalog.Attributes.Zip(places))
        {
            if (place < 0)
            {
                isDoubtful |= !attribute.IsSettled && !attribute.IsGenerated && (attribute.Number > newest || before.Contains(attribute.Number));
                continue;
            }

            if (numbers[place] == 0 && !attribute.IsDropped && attribute.Name == relation.Columns[place].Name && (attribute.IsSettled || !isDoubtful))
                numbers[place] = attribute.Number;
            isDoubtful &= numbers[place] != attribute.Number;
        }
    }

    // Between two certain numbers, there may be exactly as many columns as free numbers. Then each column has the next number, whatever its
    // name is now and whether it still exists or not.
    private static void FillGaps(int[] numbers)
    {
        var before = 0;
        for (var i = 0; i < numbers.Length; i++)
        {
            if (numbers[i] == 0)
                continue;
            var start = i;
            while (start > 0 && numbers[start - 1] == 0)
                start--;
            if (numbers[i] - before - 1 == i - start)
            {
                for (var gap = start; gap < i; gap++)
                    numbers[gap] = before + 1 + gap - start;
            }

            before = numbers[i];
        }
    }
}
