using CdcOrleans.Capture.Postgres.Replication;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// Matches the columns of a relation message with the attributes of the catalog. The log has only the names of that time. Since then,
/// columns may have been renamed, dropped, added, or changed to another type. Both lists are in the order of creation. An attribute that
/// exists now existed then too, unless it and all attributes after it are newer.
/// </summary>
internal static class ColumnAlignment
{
    private const int Impossible = -1_000_000;

    /// <summary>Returns for each attribute of the catalog the index of its column in the relation; −1 where it has none.</summary>
    public static int[] Of(IReadOnlyList<RelationColumn> columns, IReadOnlyList<CatalogAttribute> attributes)
    {
        var best = Scores(columns, attributes);
        var places = new int[attributes.Count];
        Array.Fill(places, -1);
        for (int c = 0, a = 0; c < columns.Count && best[c, a] > Impossible / 2; a++)
        {
            if (best[c, a] == Score(columns[c], attributes[a]) + best[c + 1, a + 1])
                places[a] = c++;
        }

        return places;
    }

    // How well the columns from one on go with the catalog's from another on.
    private static int[,] Scores(IReadOnlyList<RelationColumn> columns, IReadOnlyList<CatalogAttribute> attributes)
    {
        var best = new int[columns.Count + 1, attributes.Count + 1];
        for (var c = 0; c < columns.Count; c++)
            best[c, attributes.Count] = Impossible;
        for (var c = columns.Count - 1; c >= 0; c--)
        {
            for (var a = attributes.Count - 1; a >= 0; a--)
            {
                // One that exists, is not computed, and is passed over is left out by the publication's column list; what follows the
                // last is newer.
                var passed = best[c, a + 1] - (attributes[a].IsDropped || attributes[a].IsGenerated ? 0 : 1);
                best[c, a] = int.Max(Score(columns[c], attributes[a]) + best[c + 1, a + 1], passed);
            }
        }

        return best;
    }

    private static int Score(RelationColumn column, CatalogAttribute attribute)
    {
        if (attribute.IsDropped)
            return 1;
        return column.Name == attribute.Name ? 4 : column.TypeOid == attribute.TypeOid && !attribute.IsGenerated ? 2 : 0;
    }
}
