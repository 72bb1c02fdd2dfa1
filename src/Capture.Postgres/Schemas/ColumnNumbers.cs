using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Numbers of a relation's columns, as far as they are certain: from what was known of it before, from the catalog, and from the columns
/// around. Columns are in the order of their numbers.
/// </summary>
internal static class ColumnNumbers
{
    /// <summary>Per column its number, 0 where it is not certain.</summary>
    /// <param name="relation">What the log announces.</param>
    /// <param name="catalog">What the catalog says of it by now.</param>
    /// <param name="places">Where the catalog's columns stand in the relation.</param>
    /// <param name="known">The shape that it had before in the log.</param>
    public static int[] Of(RelationMessage relation, CatalogFacts catalog, int[] places, TableSchema? known)
    {
        var numbers = known is null ? new int[relation.Columns.Count] : Kept(relation, catalog, known);
        FromCatalog(numbers, relation, catalog, places, known);
        FillGaps(numbers);
        return numbers;
    }

    // Between two announcements some columns were dropped, some renamed, and new ones stand behind all others. One that was there then
    // and is in the catalog now was there all the time.
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

    // A column of the catalog that the log does not have, and may have had, makes doubtful which are those behind it: it was left out by
    // a column list, or dropped since, under any name. So do not those that are settled, which are as they were for the log, nor those
    // that the table lacked when it was announced before. Behind a column that is certain again, there is no doubt.
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

    // As many columns as there are numbers between their neighbours' have these, whatever they are called now or whether they still exist.
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
