namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// Looks at the text of a filter before it becomes a part of a statement: between parentheses it must be one expression, whatever it
/// contains. Quotes and parentheses must be closed inside it, and comments, semicolons and parameters are refused. Everything else is
/// left to the server's parser.
/// </summary>
internal static class FilterText
{
    /// <summary>Returns what is wrong with the text, as the end of a sentence; null when nothing is.</summary>
    /// <param name="text">The filter.</param>
    /// <param name="functions">The names before parentheses, unquoted: functions, and keywords such as <c>in</c>.</param>
    public static string? Finding(string text, out IReadOnlyList<string> functions)
    {
        var names = new List<string>();
        functions = names;
        var depth = 0;
        string? word = null;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (char.IsWhiteSpace(c))
                continue;
            if (c == '(' && word is not null)
                names.Add(word);
            if (char.IsLetter(c) || c == '_' || c > 127)
            {
                var start = i;
                while (i + 1 < text.Length && (char.IsLetterOrDigit(text[i + 1]) || text[i + 1] is '_' or '$' || text[i + 1] > 127))
                    i++;
                word = text[start..(i + 1)].ToLowerInvariant();

                // These prefixes change what a quote inside of quotes means.
                if (word == "e" && i + 1 < text.Length && text[i + 1] == '\'')
                    return "has a text constant with backslash escapes (E'…'); write the characters themselves";
                if (word == "u" && i + 1 < text.Length && text[i + 1] == '&')
                    return "has a text or a name with Unicode escapes (U&); write the characters themselves";
                if (word is "select" or "table")
                    return $"has the word {word.ToUpperInvariant()} at character {start + 1}; queries are not allowed, and a name that is such a word must be quoted";
                continue;
            }

            word = null;
            switch (c)
            {
                case '\0':
                    return "has a character with the code 0";
                case '\'' or '"':
                    var end = EndOfQuoted(text, i);
                    if (end < 0)
                        return $"has an opening {c} at character {i + 1} that is not closed";
                    if (c == '"')
                        word = text[(i + 1)..end].Replace("\"\"", "\"", StringComparison.Ordinal);
                    i = end;
                    break;
                case '(':
                    depth++;
                    break;
                case ')' when --depth < 0:
                    return $"has a closing parenthesis at character {i + 1} without an opening one";
                case ';':
                    return $"has a semicolon at character {i + 1}; only one expression is allowed";
                case '$':
                    return $"has a $ at character {i + 1}; parameters and dollar quotes are not allowed";
                case '-' when i + 1 < text.Length && text[i + 1] == '-':
                case '/' when i + 1 < text.Length && text[i + 1] == '*':
                    return $"has a comment at character {i + 1}";
            }
        }

        return depth > 0 ? "has an opening parenthesis that is not closed" : text.AsSpan().Trim().IsEmpty ? "is empty" : null;
    }

    // A quote inside is doubled. Backslashes mean nothing, because standard_conforming_strings is on.
    private static int EndOfQuoted(string text, int start)
    {
        for (var i = start + 1; i < text.Length; i++)
        {
            if (text[i] != text[start])
                continue;
            if (i + 1 == text.Length || text[i + 1] != text[start])
                return i;
            i++;
        }

        return -1;
    }
}
