using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace CdcOrleans.Samples.TheWorldShop.Verification;

/// <summary>
/// Brings a value from an event and a value from the database into one text each, which are equal exactly when the values are.
/// The rules are those of Debezium's JSON converter with decimals as strings.
/// </summary>
internal static partial class CanonicalValues
{
    private const string NotReadable = "\u0000not readable as this type: ";

    /// <summary>From an event; null for null.</summary>
    public static string? FromEvent(Column column, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null)
            return null;
        try
        {
            return column.Kind switch
            {
                ColumnKind.Boolean => value.GetBoolean() ? "true" : "false",
                ColumnKind.Integer => value.GetInt64().ToString(CultureInfo.InvariantCulture),
                ColumnKind.Float => value.ValueKind == JsonValueKind.String ? Float(value.GetString()!) : Float(value.GetRawText()),
                ColumnKind.Numeric => Special(value.GetString()!),
                ColumnKind.Money => value.GetString(),
                ColumnKind.Date => Unbounded(value.GetInt64(), 2_000_000_000),
                ColumnKind.Time or ColumnKind.Timestamp => Unbounded(value.GetInt64(), 9_220_000_000_000_000_000, column.Millis ? 1000 : 1),
                ColumnKind.TimestampTz => Instant(value.GetString()!),
                ColumnKind.Interval => value.GetInt64().ToString(CultureInfo.InvariantCulture),
                ColumnKind.Bytea => Convert.ToBase64String(value.GetBytesFromBase64()),
                ColumnKind.Json => Json(value.GetString()!),
                ColumnKind.Array => Elements(value),
                _ => value.GetString(),
            };
        }
        catch (Exception error) when (error is InvalidOperationException or FormatException or OverflowException or JsonException)
        {
            // Not equal to anything that the database can hold.
            return NotReadable + value.GetRawText();
        }
    }

    /// <summary>From the text that <see cref="Column.Sql"/> asked for; null for null.</summary>
    public static string? FromDatabase(Column column, string? text)
    {
        if (text is null)
            return null;
        return column.Kind switch
        {
            ColumnKind.Float => Float(text),
            ColumnKind.Json => Json(text),
            ColumnKind.Array => DatabaseArray(text),
            _ => text,
        };
    }

    private static string Float(string text) => double.Parse(text, CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture);

    private static string Special(string numeric) => numeric switch
    {
        "NAN" => "NaN",
        "POSITIVE_INFINITY" => "Infinity",
        "NEGATIVE_INFINITY" => "-Infinity",
        _ => numeric,
    };

    /// <summary>A number too large for any real date stands for infinity.</summary>
    private static string Unbounded(long value, long limit, long factor = 1) =>
        value > limit ? "infinity" : value < -limit ? "-infinity" : checked(value * factor).ToString(CultureInfo.InvariantCulture);

    /// <summary>Microseconds since 1970; any year, unlike <see cref="DateTimeOffset"/>.</summary>
    private static string Instant(string text)
    {
        if (text is "infinity" or "-infinity")
            return text;
        var parts = IsoInstant().Match(text);
        if (!parts.Success)
            throw new FormatException();
        long Part(int group) => long.Parse(parts.Groups[group].ValueSpan, CultureInfo.InvariantCulture);
        var (year, month, day) = (Part(1), Part(2), Part(3));
        // Days since 1970 in the proleptic Gregorian calendar, counting years from March.
        var shifted = month <= 2 ? year - 1 : year;
        var era = (shifted >= 0 ? shifted : shifted - 399) / 400;
        var yearOfEra = shifted - (era * 400);
        var dayOfYear = (((153 * (month + (month > 2 ? -3 : 9))) + 2) / 5) + day - 1;
        var days = (era * 146097) + (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear - 719468;
        var seconds = (days * 86400) + (Part(4) * 3600) + (Part(5) * 60) + Part(6);
        var fraction = parts.Groups[7].Success ? parts.Groups[7].Value.PadRight(6, '0') : "000000";
        if (fraction.Length > 6 && fraction[6..].Trim('0').Length > 0)
            throw new FormatException();
        return ((seconds * 1_000_000) + long.Parse(fraction.AsSpan(0, 6), CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"^([+-]?\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$", RegexOptions.CultureInvariant)]
    private static partial Regex IsoInstant();

    private static string Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        var canonical = new StringBuilder();
        Append(document.RootElement, canonical);
        return canonical.ToString();
    }

    private static void Append(JsonElement element, StringBuilder to)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                to.Append('{');
                foreach (var property in element.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal))
                {
                    to.Append(JsonSerializer.Serialize(property.Name)).Append(':');
                    Append(property.Value, to);
                    to.Append(',');
                }

                to.Append('}');
                break;
            case JsonValueKind.Array:
                to.Append('[');
                foreach (var item in element.EnumerateArray())
                {
                    Append(item, to);
                    to.Append(',');
                }

                to.Append(']');
                break;
            case JsonValueKind.String:
                to.Append(JsonSerializer.Serialize(element.GetString()));
                break;
            default:
                to.Append(element.GetRawText());
                break;
        }
    }

    private static string DatabaseArray(string text)
    {
        using var document = JsonDocument.Parse(text);
        return Elements(document.RootElement);
    }

    /// <summary>Elements as strings, for the database prints numbers as numbers where an event has decimal strings.</summary>
    private static string Elements(JsonElement array)
    {
        var canonical = new StringBuilder("[");
        foreach (var element in array.EnumerateArray())
        {
            canonical.Append(element.ValueKind switch
            {
                JsonValueKind.Array => Elements(element),
                JsonValueKind.Null => "null",
                JsonValueKind.String => JsonSerializer.Serialize(element.GetString()),
                _ => JsonSerializer.Serialize(element.GetRawText()),
            }).Append(',');
        }

        return canonical.Append(']').ToString();
    }
}
