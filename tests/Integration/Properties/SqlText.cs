using System.Text;

namespace CdcOrleans.Integration.Properties;

/// <summary>Quoting: of identifiers and literals, inside arrays and rows, and in COPY's text form.</summary>
internal static class SqlText
{
    public static string Name(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    public static string Literal(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    /// <summary>In double quotes, with both specials escaped: an element of an array, a row, a range, an hstore.</summary>
    public static string Quoted(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    public static string CopyField(string? text)
    {
        if (text is null)
            return "\\N";
        var field = new StringBuilder();
        foreach (var character in text)
        {
            field.Append(character switch
            {
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ => null,
            } ?? character.ToString());
        }

        return field.ToString();
    }
}
