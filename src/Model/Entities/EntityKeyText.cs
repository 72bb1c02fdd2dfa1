using System.Text;

namespace CdcOrleans.Model.Entities;

/// <summary>
/// Canonical key text: the key columns' values in PostgreSQL's text form, joined by <c>,</c>; inside a value <c>\</c> and
/// <c>,</c> are written <c>\\</c> and <c>\,</c>, and NULL is <c>\N</c>. For a given number of columns no two keys share a text.
/// </summary>
public static class EntityKeyText
{
    /// <summary>Joins values; null stands for SQL NULL.</summary>
    public static string Join(params ReadOnlySpan<string?> values)
    {
        if (values.Length == 1 && values[0] is { } single && single.AsSpan().IndexOfAny('\\', ',') < 0)
            return single;
        var text = new StringBuilder();
        for (var i = 0; i < values.Length; i++)
        {
            if (i > 0)
                text.Append(',');
            if (values[i] is { } value)
                text.Append(value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace(",", "\\,", StringComparison.Ordinal));
            else
                text.Append("\\N");
        }

        return text.ToString();
    }

    /// <summary>Splits what <see cref="Join"/> made.</summary>
    /// <exception cref="FormatException">The text ends inside an escape, or has an unknown escape.</exception>
    public static IReadOnlyList<string?> Split(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var values = new List<string?>();
        var value = new StringBuilder();
        var isNull = false;
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case ',':
                    values.Add(isNull ? null : value.ToString());
                    value.Clear();
                    isNull = false;
                    break;
                case '\\' when i + 1 < text.Length && text[i + 1] is '\\' or ',':
                    value.Append(text[++i]);
                    break;
                case '\\' when i + 1 < text.Length && text[i + 1] == 'N' && value.Length == 0 && (i + 2 == text.Length || text[i + 2] == ','):
                    isNull = true;
                    i++;
                    break;
                case '\\':
                    throw new FormatException($"'{text}' is not a canonical key: the escape at character {i + 1} is unknown.");
                default:
                    value.Append(text[i]);
                    break;
            }
        }

        values.Add(isNull ? null : value.ToString());
        return values;
    }
}
