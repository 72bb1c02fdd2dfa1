namespace CdcOrleans.Integration.Properties;

/// <summary>A column as it is now.</summary>
internal sealed record RandomColumn(string Name, SqlType Type, bool NotNull)
{
    public string Sql => SqlText.Name(Name);
}

/// <summary>A random table: as it is created, and as later statements have left it.</summary>
internal sealed class RandomTable
{
    private static readonly string[] OddNames =
        ["select", "Order", "id", "a b", "a.b", "a/b", "a\"b", "it's", "ünï", "列", "null", "tab\tle", "user", "x;y", "__x", "ID", "1st", "%", "\\", "$1"];

    private RandomTable(string schema, string name, List<RandomColumn> columns, List<string> key, string ddl, IReadOnlyList<(string Name, string Bounds)> parts)
    {
        Parts = parts;
        Schema = schema;
        Name = name;
        Columns = columns;
        Key = key;
        Ddl = ddl;
    }

    public string Schema { get; }

    public string Name { get; }

    public string Sql => $"{SqlText.Name(Schema)}.{SqlText.Name(Name)}";

    public List<RandomColumn> Columns { get; }

    /// <summary>Names of the key's columns.</summary>
    public List<string> Key { get; }

    public string Ddl { get; }

    /// <summary>Its partitions, with their bounds.</summary>
    public IReadOnlyList<(string Name, string Bounds)> Parts { get; }

    /// <summary>Columns that were renamed. When the log is read after that, it is not certain which columns they are.</summary>
    public HashSet<string> Renamed { get; } = [];

    /// <summary>Columns that were added: the stored rows from before do not have them.</summary>
    public HashSet<string> Added { get; } = [];

    /// <summary>Whether the stored rows from before may have another value of a column than the table, or no such column.</summary>
    public bool IsAltered(string column) => Added.Contains(column) || Renamed.Contains(column) || Retyped.Contains(column);

    /// <summary>Columns whose type was changed. A large value that was not updated since then is not known.</summary>
    public HashSet<string> Retyped { get; } = [];

    /// <summary>Whether the server gave the table new files: it was truncated, or rewritten. Rows that are not changed afterwards may be forgotten.</summary>
    public bool IsRewritten { get; set; }

    /// <summary>Whether rows were changed, or may have been, without an event (<see cref="SilentStatements"/>). Rows that are not changed afterwards may be forgotten.</summary>
    public bool IsSilent { get; set; }

    /// <summary>The table's columns under another name.</summary>
    public RandomTable As(string schema, string name) => new(schema, name, Columns, Key, Ddl, []);

    public static RandomTable Make(Dice dice, string schema, int number, IReadOnlyList<SqlType> types)
    {
        var taken = new HashSet<string>();
        var name = NameOf(dice, taken, number);
        var width = dice.Chance(8) ? dice.Between(20, 40) : dice.Between(2, 10);
        var columns = Enumerable.Range(0, width).Select(i =>
        {
            var type = dice.Pick(types);
            return new RandomColumn(NameOf(dice, taken, i), dice.Chance(20) ? SqlTypes.ArrayOf(type) : type, dice.Chance(20));
        }).ToList();
        var indexable = columns.Where(c => c.Type.Key is not null).ToList();
        if (indexable.Count == 0)
        {
            columns.Add(new RandomColumn("k", types.First(t => t.Name == "text"), true));
            indexable = [columns[^1]];
        }

        var key = dice.Some(indexable, dice.Chance(60) ? 1 : dice.Between(2, 3)).Select(c => c.Name).ToList();
        columns = [.. columns.Select(c => key.Contains(c.Name) ? c with { NotNull = true } : c)];
        var ddl = Create(dice, schema, name, number, columns, key, out var parts);
        return new RandomTable(schema, name, columns, key, ddl, parts);
    }

    public RandomColumn Column(string name) => Columns.First(c => c.Name == name);

    /// <summary>A value for a column, as a literal.</summary>
    public string Literal(Dice dice, RandomColumn column) => Key.Contains(column.Name)
        ? column.Type.Literal(column.Type.Key!(dice))
        : column.Type.Literal(column.Type.ValueOrNull(dice, column.NotNull ? 0 : 15));

    /// <summary>A name that no column has.</summary>
    public string FreeName(Dice dice) => NameOf(dice, [.. Columns.Select(c => c.Name)], dice.Below(1000));

    private static string Create(Dice dice, string schema, string name, int number, List<RandomColumn> columns, List<string> key, out List<(string Name, string Bounds)> parts)
    {
        parts = [];
        var table = $"{SqlText.Name(schema)}.{SqlText.Name(name)}";
        var list = string.Join(", ", columns.Select(c => $"{c.Sql} {c.Type.Name}{(c.NotNull ? " NOT NULL" : "")}"));
        var keys = string.Join(", ", key.Select(SqlText.Name));
        var partitioned = dice.Chance(10);
        var byIndex = !partitioned && dice.Chance(15);
        var ddl = $"CREATE TABLE {table} ({list}{(byIndex ? "" : $", PRIMARY KEY ({keys})")}){(partitioned ? $" PARTITION BY RANGE ({SqlText.Name(key[0])})" : "")};";
        if (partitioned)
        {
            var type = columns.First(c => c.Name == key[0]).Type;
            var middle = type.Literal(type.Key!(dice));
            parts = [($"part {NumberValues.Text(number)} low", $"FROM (MINVALUE) TO ({middle})"), ($"part {NumberValues.Text(number)} high", $"FROM ({middle}) TO (MAXVALUE)")];
            return ddl + string.Concat(parts.Select(p => $"CREATE TABLE {SqlText.Name(schema)}.{SqlText.Name(p.Name)} PARTITION OF {table} FOR VALUES {p.Bounds};"));
        }

        if (byIndex)
            return ddl + $"CREATE UNIQUE INDEX \"identity {NumberValues.Text(number)}\" ON {table} ({keys}); ALTER TABLE {table} REPLICA IDENTITY USING INDEX \"identity {NumberValues.Text(number)}\";";
        if (dice.Chance(30))
            ddl += $"ALTER TABLE {table} REPLICA IDENTITY FULL;";
        foreach (var column in columns.Where(c => c.Type.Name is "text" or "bytea" or "jsonb" && dice.Chance(50)))
            ddl += $"ALTER TABLE {table} ALTER {column.Sql} SET STORAGE EXTERNAL;";
        return ddl;
    }

    private static string NameOf(Dice dice, HashSet<string> taken, int number)
    {
        var name = dice.Below(4) switch
        {
            0 => dice.Pick(OddNames),
            1 => new string('n', dice.Between(40, 60)) + NumberValues.Text(number),
            _ => $"c{NumberValues.Text(number)}",
        };
        while (!taken.Add(name))
            name = $"c{NumberValues.Text(number)}_{NumberValues.Text(dice.Below(100_000))}";
        return name;
    }
}
