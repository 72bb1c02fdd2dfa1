using System.Text;

namespace CdcOrleans.Configuration.Reading;

/// <summary>
/// Replaces references to environment variables in a text: <c>${NAME}</c>, <c>${NAME:-default}</c> (the default also applies when the
/// variable is empty), and <c>$$</c> for a literal <c>$</c>. Any other <c>$</c> is an error.
/// </summary>
internal static class References
{
    /// <summary>Replaces the references of a text.</summary>
    /// <param name="text">The text from the file.</param>
    /// <param name="environment">Variables by name.</param>
    /// <param name="problems">Takes errors. They contain names of variables, never values.</param>
    /// <returns>The replaced text; null when there were problems.</returns>
    public static string? Replace(string text, IReadOnlyDictionary<string, string> environment, ICollection<string> problems)
    {
        var before = problems.Count;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$')
            {
                result.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == '$')
            {
                result.Append('$');
                i++;
            }
            else if (i + 1 < text.Length && text[i + 1] == '{')
            {
                var end = text.IndexOf('}', i);
                if (end < 0)
                {
                    problems.Add("'${' without a closing '}'; write ${NAME} or ${NAME:-default}, or $$ for a literal $");
                    break;
                }

                result.Append(Value(text[(i + 2)..end], environment, problems));
                i = end;
            }
            else
            {
                problems.Add("a single '$' has no meaning; write $$ for a literal $, or ${NAME} for an environment variable");
                break;
            }
        }

        return problems.Count == before ? result.ToString() : null;
    }

    /// <summary>Whether a text has references.</summary>
    public static bool Has(string text) => text.Contains('$', StringComparison.Ordinal);

    private static string? Value(string reference, IReadOnlyDictionary<string, string> environment, ICollection<string> problems)
    {
        var separator = reference.IndexOf(":-", StringComparison.Ordinal);
        var name = separator < 0 ? reference : reference[..separator];
        if (!IsName(name))
        {
            problems.Add("'${…}' must contain the name of an environment variable (letters, digits and '_', not starting with a digit), optionally followed by ':-' and a default");
            return null;
        }

        var known = environment.TryGetValue(name, out var value);
        if (separator < 0)
        {
            if (!known)
                problems.Add($"missing secret or setting: the environment variable {name} is not set; set it, or give a default as ${{{name}:-default}}");
            return value;
        }

        var fallback = reference[(separator + 2)..];
        if (fallback.Replace("$$", "", StringComparison.Ordinal).Contains('$', StringComparison.Ordinal))
        {
            problems.Add($"the default of ${{{name}}} contains a '$'; a default is plain text, with $$ for a literal $");
            return null;
        }

        return known && value!.Length > 0 ? value : fallback.Replace("$$", "$", StringComparison.Ordinal);
    }

    private static bool IsName(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_');
}
