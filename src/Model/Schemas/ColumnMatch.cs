namespace CdcOrleans.Model.Schemas;

/// <summary>How far the types of two columns must agree for these to be one column.</summary>
public enum ColumnTypeMatch
{
    /// <summary>They may differ.</summary>
    Any,

    /// <summary>The type must be the same; its modifier (length, precision) may differ.</summary>
    Type,

    /// <summary>Type and modifier must be the same.</summary>
    TypeAndModifier,
}

/// <summary>
/// Tells which column of one shape of a table is which column of another. Numbers tell it, since a column keeps its number over renames,
/// as long as both shapes are of the same table at the server. Where a number is missing, or the table is another one, a name may stand in.
/// What the log's names are in the catalog is another question, and is not answered here.
/// </summary>
/// <param name="byName">Whether names tell where numbers do not.</param>
/// <param name="type">How far types must agree.</param>
public sealed class ColumnMatch(bool byName, ColumnTypeMatch type)
{
    /// <summary>
    /// For a held value that stands for one that the log left out. A wrong value is worse than none: after two columns were renamed
    /// crosswise, or one dropped and another renamed, a name is that of another column; and under another type or modifier the value
    /// is written otherwise.
    /// </summary>
    public static ColumnMatch ForValues { get; } = new(byName: false, ColumnTypeMatch.TypeAndModifier);

    /// <summary>
    /// For the columns of a key. The modifier does not matter: a longer <c>varchar</c> holds the same keys. A name stands in for a missing
    /// number, else each new shape of a table without certain numbers would cost all that is held of it.
    /// </summary>
    public static ColumnMatch ForKeys { get; } = new(byName: true, ColumnTypeMatch.Type);

    /// <summary>
    /// For a whole row of an older shape that is told under the names of a newer one. Each value is written in the form of its own
    /// type, so types do not matter, and a guess by name is better than a row with holes.
    /// </summary>
    public static ColumnMatch ForRows { get; } = new(byName: true, ColumnTypeMatch.Any);

    /// <summary>Where a column of a shape stands in another one; −1 where it does not, or cannot be told.</summary>
    /// <param name="table">The shape that has the column.</param>
    /// <param name="column">The column's place in it.</param>
    /// <param name="other">The other shape.</param>
    public int PlaceOf(TableSchema table, int column, TableSchema other)
    {
        if (IsSameShape(table, other))
            return column;
        for (var place = 0; place < other.Columns.Length; place++)
        {
            if (IsSame(table, table.Columns[column], other, other.Columns[place]))
                return place;
        }

        return -1;
    }

    /// <summary>Whether two shapes have the same columns as their key, in the same order.</summary>
    public bool HaveSameKey(TableSchema left, TableSchema right)
    {
        if (left.Key.Length != right.Key.Length)
            return false;
        for (var part = 0; part < left.Key.Length; part++)
        {
            if (!IsSame(left, left.Columns[left.Key[part]], right, right.Columns[right.Key[part]]))
                return false;
        }

        return true;
    }

    private bool IsSame(TableSchema leftTable, ColumnSchema left, TableSchema rightTable, ColumnSchema right)
    {
        var haveNumbers = leftTable.RelationOid == rightTable.RelationOid && left.Number != 0 && right.Number != 0;
        if (haveNumbers ? left.Number != right.Number : !byName || left.Name != right.Name)
            return false;
        return type switch
        {
            ColumnTypeMatch.Any => true,
            ColumnTypeMatch.Type => left.TypeOid == right.TypeOid,
            _ => left.TypeOid == right.TypeOid && left.TypeModifier == right.TypeModifier,
        };
    }

    // A number is given to a shape once; one that has none yet (0) is the same as itself only.
    private static bool IsSameShape(TableSchema left, TableSchema right) =>
        ReferenceEquals(left, right) || (left.Version != 0 && left.TableId == right.TableId && left.Version == right.Version);
}
