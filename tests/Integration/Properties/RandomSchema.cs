namespace CdcOrleans.Integration.Properties;

/// <summary>A random schema: types of its own and up to three tables.</summary>
internal sealed class RandomSchema
{
    private RandomSchema(int number, string name, string ddl, List<RandomTable> tables, List<string> labels, IReadOnlyList<SqlType> types)
    {
        Number = number;
        Name = name;
        Ddl = ddl;
        Tables = tables;
        Labels = labels;
        Types = types;
    }

    public int Number { get; }

    public string Name { get; }

    public string Ddl { get; }

    public IReadOnlyList<RandomTable> Tables { get; }

    /// <summary>The enum's labels; more may be added.</summary>
    public List<string> Labels { get; }

    public IReadOnlyList<SqlType> Types { get; }

    public string Enum => $"{SqlText.Name(Name)}.\"mood\"";

    public static RandomSchema Make(long seed, int number)
    {
        var dice = Dice.Of(seed, number, 1);
        var name = $"s{NumberValues.Text(number)}";
        List<string> labels = ["low", "it's", "a b", "\"q\"", "日本"];
        SqlType[] own =
        [
            SqlType.Indexable($"{name}.mood", d => labels[d.Below(5)]),
            SqlType.Indexable($"{name}.amount", d => NumberValues.Numeric(d, 8, 2)),
            SqlType.Indexable($"{name}.\"Nested\"", d => NumberValues.Numeric(d, 6, 2)),
            new($"{name}.pair", d => $"({NumberValues.Integer(d, -5, 5)},{(d.Chance(20) ? "" : SqlText.Quoted(TextValues.Short(d)))},{TimeValues.DayOf(d.Below(1000))})"),
        ];
        var types = SqlTypes.With(own);
        var tables = Enumerable.Range(0, dice.Chance(60) ? 1 : dice.Between(2, 3)).Select(t => RandomTable.Make(dice, name, t, types)).ToList();
        for (var i = 1; i < tables.Count; i++)
        {
            while (tables.Take(i).Any(t => t.Name == tables[i].Name))
                tables[i] = RandomTable.Make(dice, name, i, types);
        }

        var ddl = $"CREATE SCHEMA {name}; CREATE TYPE {name}.mood AS ENUM ({string.Join(", ", labels.Select(SqlText.Literal))}); "
            + $"CREATE DOMAIN {name}.amount AS numeric(8,2) CHECK (VALUE IS NULL OR VALUE <> 12345.67); CREATE DOMAIN {name}.\"Nested\" AS {name}.amount; "
            + $"CREATE TYPE {name}.pair AS (a int, \"b c\" text, d date); {string.Concat(tables.Select(t => t.Ddl))} {string.Concat(tables.Select(EventTruth.Trigger))}";
        return new RandomSchema(number, name, ddl, tables, labels, types);
    }
}
