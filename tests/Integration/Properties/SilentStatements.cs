namespace CdcOrleans.Integration.Properties;

/// <summary>
/// Statements within which, or by which, rows change without an event: rewrites, partitions that are out or emptied, tables that are not
/// published, published in part, unlogged, or under a name that is not captured.
/// </summary>
/// <param name="Before">Statements to begin with.</param>
/// <param name="Under">The table under the name that it has meanwhile; its rows are changed now.</param>
/// <param name="After">Statements that end it.</param>
internal sealed record SilentStatements(IReadOnlyList<string> Before, RandomTable Under, IReadOnlyList<string> After)
{
    /// <summary>Publication of the captured tables.</summary>
    public const string Publication = "cdc";

    /// <summary>A schema that is not captured.</summary>
    public const string Outside = "outside";

    /// <summary>Whether all tables are concerned.</summary>
    public bool IsOfAll { get; private init; }

    /// <summary>Makes statements for a table.</summary>
    /// <param name="dice">Decides.</param>
    /// <param name="table">The table.</param>
    /// <param name="mayConcernAll">Whether the operations of the publication may be altered, which concerns all tables.</param>
    public static SilentStatements Make(Dice dice, RandomTable table, bool mayConcernAll)
    {
        const string drop = $"ALTER PUBLICATION {Publication} DROP TABLE ", add = $"ALTER PUBLICATION {Publication} ADD TABLE ";
        var name = table.Sql;
        switch (dice.Below(table.Parts.Count > 0 ? 8 : 6))
        {
            case 0:
                return new([drop + name], table, [add + name]);
            case 1:
                return new([drop + name, $"{add}{name} WHERE ({(dice.Chance(50) ? "1 = 0" : $"{SqlText.Name(table.Key[0])} IS NULL")})"], table, [drop + name, add + name]);
            case 2:
                return new([drop + name, $"{add}{name} ({string.Join(", ", table.Key.Select(SqlText.Name))})"], table, [drop + name, add + name]);
            case 3 when table.Parts.Count == 0:
                return new([drop + name, $"ALTER TABLE {name} SET UNLOGGED"], table, [$"ALTER TABLE {name} SET LOGGED", add + name]);
            case 4:
                return new([$"ALTER TABLE {name} SET SCHEMA {Outside}"], table.As(Outside, table.Name), [$"ALTER TABLE {Outside}.{SqlText.Name(table.Name)} SET SCHEMA {SqlText.Name(table.Schema)}"]);
            case 5 when mayConcernAll && dice.Chance(30):
                return new(
                    ["SELECT pg_advisory_xact_lock(77)", $"ALTER PUBLICATION {Publication} SET (publish = '{dice.Pick("insert", "update, delete", "insert, delete", "truncate")}')"], table,
                    [$"ALTER PUBLICATION {Publication} SET (publish = 'insert, update, delete, truncate')"]) { IsOfAll = true };
            case 6:
                var (part, bounds) = dice.Pick(table.Parts);
                return new([$"ALTER TABLE {name} DETACH PARTITION {SqlText.Name(table.Schema)}.{SqlText.Name(part)}"], table.As(table.Schema, part),
                    [$"ALTER TABLE {name} ATTACH PARTITION {SqlText.Name(table.Schema)}.{SqlText.Name(part)} FOR VALUES {bounds}"]);
            case 7:
                return new([$"TRUNCATE {SqlText.Name(table.Schema)}.{SqlText.Name(dice.Pick(table.Parts).Name)}"], table, []);
            default:
                return new([$"ALTER TABLE {name} {Rewritten(dice, table)}"], table, []);
        }
    }

    // The same type as before, and other values.
    private static string Rewritten(Dice dice, RandomTable table)
    {
        var column = dice.Pick(table.Columns);
        var value = column.Type.Name == "text" ? $"{column.Sql} || '~'"
            : table.Key.Contains(column.Name) || column.NotNull || dice.Chance(30) ? column.Sql
            : dice.Chance(50) ? $"NULL::{column.Type.Name}"
            : column.Type.Literal(column.Type.Value(dice));
        return $"ALTER {column.Sql} TYPE {column.Type.Name} USING {value}";
    }
}
