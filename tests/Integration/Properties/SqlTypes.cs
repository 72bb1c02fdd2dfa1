using System.Text;

namespace CdcOrleans.Integration.Properties;

/// <summary>The types of PostgreSQL and of its common extensions, each with values that its input takes.</summary>
internal static class SqlTypes
{
    private static readonly SqlType[] Plain =
    [
        SqlType.Indexable("smallint", d => NumberValues.Integer(d, short.MinValue, short.MaxValue)),
        SqlType.Indexable("integer", d => NumberValues.Integer(d, int.MinValue, int.MaxValue)),
        SqlType.Indexable("bigint", d => NumberValues.Integer(d, long.MinValue, long.MaxValue)),
        SqlType.Indexable("oid", d => NumberValues.Integer(d, 0, uint.MaxValue)),
        SqlType.Indexable("numeric", NumberValues.Numeric),
        SqlType.Indexable("numeric(12,4)", d => NumberValues.Numeric(d, 12, 4)),
        SqlType.Indexable("numeric(9,0)", d => NumberValues.Numeric(d, 9, 0)),
        SqlType.Indexable("real", NumberValues.Single),
        SqlType.Indexable("double precision", NumberValues.Double),
        SqlType.Indexable("money", NumberValues.Money),
        new("char(7)", d => TextValues.AtMost(d, 7), d => TextValues.AtMost(d, 7)),
        new("varchar(30)", d => TextValues.AtMost(d, 30), d => TextValues.AtMost(d, 30)),
        new("text", TextValues.Any, TextValues.ForKey),
        SqlType.Indexable("name", d => TextValues.AtMost(d, 15)),
        new("citext", TextValues.Any, TextValues.Short),
        new("xml", TextValues.Xml),
        new("bytea", TextValues.Bytes, d => TextValues.Bytes(d, 0, 40)),
        SqlType.Indexable("boolean", d => d.Pick("t", "f")),
        SqlType.Indexable("date", TimeValues.Date),
        SqlType.Indexable("time", TimeValues.Time),
        SqlType.Indexable("time(3)", TimeValues.Time),
        SqlType.Indexable("timetz", TimeValues.TimeWithZone),
        SqlType.Indexable("timestamp", TimeValues.Timestamp),
        SqlType.Indexable("timestamp(0)", TimeValues.Timestamp),
        SqlType.Indexable("timestamptz", TimeValues.TimestampWithZone),
        SqlType.Indexable("interval", TimeValues.Interval),
        SqlType.Indexable("uuid", TextValues.Uuid),
        new("json", TextValues.Json),
        new("jsonb", TextValues.Json, TextValues.JsonKey),
        new("jsonpath", TextValues.JsonPath),
        SqlType.Indexable("inet", TextValues.Inet),
        SqlType.Indexable("cidr", TextValues.Cidr),
        SqlType.Indexable("macaddr", d => TextValues.Mac(d, 6)),
        SqlType.Indexable("macaddr8", d => TextValues.Mac(d, 8)),
        SqlType.Indexable("bit(5)", d => NumberValues.Bits(d, 5, 5)),
        SqlType.Indexable("varbit", d => NumberValues.Bits(d, 0, 40)),
        new("point", Point),
        new("lseg", d => $"[{Point(d)},{Point(d)}]"),
        new("box", d => $"{Point(d)},{Point(d)}") { Delimiter = ';' },
        new("path", d => d.Chance(50) ? $"[{d.Join(",", 1, 4, Point)}]" : $"({d.Join(",", 1, 4, Point)})"),
        new("polygon", d => $"({d.Join(",", 1, 5, Point)})"),
        new("circle", d => $"<{Point(d)},{d.Between(0, 50)}>"),
        SqlType.Indexable("int4range", d => Range(d, x => NumberValues.Text(x.Between(-50, 0)), x => NumberValues.Text(x.Between(1, 50)))),
        SqlType.Indexable("numrange", d => Range(d, x => "-" + NumberValues.Numeric(x, 6, 2).Replace("NaN", "1", StringComparison.Ordinal).TrimStart('-'), x => "99999.5")),
        SqlType.Indexable("daterange", d => Range(d, x => TimeValues.DayOf(x.Between(0, 100)), x => TimeValues.DayOf(x.Between(101, 200)))),
        new("int8multirange", d => $"{{{d.Join(",", 0, 3, x => Range(x, y => NumberValues.Text(y.Between(-50, 0)), y => NumberValues.Text(y.Between(1, 50))))}}}"),
        new("tsvector", TextValues.SearchVector),
        new("tsquery", TextValues.SearchQuery),
        new("hstore", TextValues.Hstore),
        SqlType.Indexable("ltree", TextValues.Ltree),
        SqlType.Indexable("pg_lsn", NumberValues.Lsn),
    ];

    /// <summary>All of them, and some of one schema's own.</summary>
    /// <param name="own">Enums, domains and composite types of the schema.</param>
    public static IReadOnlyList<SqlType> With(IEnumerable<SqlType> own) => [.. Plain, .. own];

    /// <summary>An array of a type, of one or two dimensions, now and then with bounds.</summary>
    public static SqlType ArrayOf(SqlType element) => new($"{element.Name}[]", d => Array(d, element));

    private static string Array(Dice dice, SqlType element)
    {
        if (dice.Chance(10))
            return "{}";
        var (rows, columns) = (dice.Chance(25) ? 2 : 0, dice.Between(1, 4));
        var text = new StringBuilder();
        if (rows == 0 && dice.Chance(15))
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"[{dice.Between(-3, 5)}:{{0}}]=");
        var lower = text.Length == 0 ? 0 : int.Parse(text.ToString()[1..text.ToString().IndexOf(':', StringComparison.Ordinal)], System.Globalization.CultureInfo.InvariantCulture);
        text.Replace("{0}", NumberValues.Text(lower + columns - 1));
        string Line() => $"{{{string.Join(element.Delimiter, Enumerable.Range(0, columns).Select(_ => element.ValueOrNull(dice, 15) is { } value ? SqlText.Quoted(value) : "NULL"))}}}";
        return text.Append(rows == 0 ? Line() : $"{{{Line()}{element.Delimiter}{Line()}}}").ToString();
    }

    private static string Point(Dice dice) => $"({NumberValues.Coordinate(dice)},{NumberValues.Coordinate(dice)})";

    private static string Range(Dice dice, Func<Dice, string> low, Func<Dice, string> high) => dice.Below(6) switch
    {
        0 => "empty",
        1 => $"({(dice.Chance(50) ? low(dice) : "")},)",
        2 => $"(,{high(dice)}]",
        _ => $"{dice.Pick("[", "(")}{low(dice)},{high(dice)}{dice.Pick("]", ")")}",
    };
}
