namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>How a column's values look in events, and so how they are compared.</summary>
internal enum ColumnKind
{
    /// <summary>The text that PostgreSQL prints.</summary>
    Text,
    Boolean,
    Integer,
    Float,

    /// <summary>A decimal string that keeps its scale.</summary>
    Numeric,

    /// <summary>A decimal string with two digits.</summary>
    Money,

    /// <summary>Days since 1970.</summary>
    Date,

    /// <summary>Microseconds of the day; milliseconds where the column has at most three digits.</summary>
    Time,

    /// <summary>Microseconds since 1970 without a zone; milliseconds where the column has at most three digits.</summary>
    Timestamp,

    /// <summary>ISO 8601 in UTC.</summary>
    TimestampTz,

    /// <summary>Microseconds, with months of 30.4375 days.</summary>
    Interval,

    /// <summary>Base64.</summary>
    Bytea,

    /// <summary>JSON text in a string; compared by meaning.</summary>
    Json,

    /// <summary>A JSON array of simple values.</summary>
    Array,

    /// <summary>A type whose encoding is not known here: not compared, and said so.</summary>
    Unknown,
}

/// <summary>A column that events must carry.</summary>
internal sealed record Column(string Name, ColumnKind Kind, bool Millis)
{
    /// <summary>Decides by the type's name in pg_type, its category, and its modifier (the precision of times).</summary>
    public static Column Of(string name, string type, char category, char typeKind, string? elementType, int modifier) =>
        new(name, KindOf(type, category, typeKind, elementType), type is "time" or "timestamp" && modifier is >= 0 and <= 3);

    /// <summary>SQL that gives the column in the form that <see cref="CanonicalValues"/> gives events: text, null for null.</summary>
    public string Sql(string quoted) => Kind switch
    {
        ColumnKind.Boolean or ColumnKind.Integer or ColumnKind.Float or ColumnKind.Numeric or ColumnKind.Json => $"{quoted}::text",
        ColumnKind.Money => $"{quoted}::numeric::text",
        ColumnKind.Date => $"CASE WHEN isfinite({quoted}) THEN ({quoted} - date '1970-01-01')::text ELSE {quoted}::text END",
        ColumnKind.Time => $"(extract(epoch FROM {quoted}) * 1000000)::bigint::text",
        ColumnKind.Timestamp or ColumnKind.TimestampTz =>
            $"CASE WHEN isfinite({quoted}) THEN (extract(epoch FROM {quoted}) * 1000000)::bigint::text ELSE {quoted}::text END",
        ColumnKind.Interval =>
            $"((extract(year FROM {quoted}) * 12 + extract(month FROM {quoted})) * 2629800000000 + extract(day FROM {quoted}) * 86400000000 + extract(hour FROM {quoted}) * 3600000000 + extract(minute FROM {quoted}) * 60000000 + extract(second FROM {quoted}) * 1000000)::bigint::text",
        ColumnKind.Bytea => $"translate(encode({quoted}, 'base64'), E'\\n', '')",
        ColumnKind.Array => $"to_json({quoted})::text",
        // format() prints as the server would send it; a cast to text would trim char(n).
        _ => $"CASE WHEN {quoted} IS NOT NULL THEN format('%s', {quoted}) END",
    };

    private static ColumnKind KindOf(string type, char category, char typeKind, string? elementType)
    {
        if (category == 'A')
        {
            return elementType is "int2" or "int4" or "int8" or "text" or "varchar" or "bool" or "uuid" or "numeric"
                ? ColumnKind.Array
                : ColumnKind.Unknown;
        }

        if (typeKind is 'e' or 'r' or 'm')
            return ColumnKind.Text;
        return type switch
        {
            "bool" => ColumnKind.Boolean,
            "int2" or "int4" or "int8" or "oid" => ColumnKind.Integer,
            "float4" or "float8" => ColumnKind.Float,
            "numeric" => ColumnKind.Numeric,
            "money" => ColumnKind.Money,
            "date" => ColumnKind.Date,
            "time" => ColumnKind.Time,
            "timestamp" => ColumnKind.Timestamp,
            "timestamptz" => ColumnKind.TimestampTz,
            "interval" => ColumnKind.Interval,
            "bytea" => ColumnKind.Bytea,
            "json" or "jsonb" => ColumnKind.Json,
            "text" or "varchar" or "bpchar" or "name" or "uuid" or "xml" or "inet" or "cidr" or "macaddr" or "macaddr8" or "citext" or "ltree" => ColumnKind.Text,
            _ => ColumnKind.Unknown,
        };
    }
}
