using System.Text.RegularExpressions;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>Recognises default expressions, as <c>pg_get_expr</c> writes them, that are a constant.</summary>
internal static partial class ConstantExpression
{
    /// <summary>Returns the value of the constant in text form; null when the expression is not a constant, or is NULL.</summary>
    public static string? TextOf(string expression)
    {
        if (Number().Match(expression) is { Success: true } number)
            return number.Groups["value"].Value;
        if (Literal().Match(expression) is { Success: true } literal)
            return literal.Groups["value"].Value.Replace("''", "'", StringComparison.Ordinal);
        return expression switch { "true" => "t", "false" => "f", _ => null };
    }

    // 7, 1.50, '-1'::integer, (0)::numeric, '-1.5'::numeric(10,2)
    [GeneratedRegex(@"^\(?(?<value>-?\d+(\.\d+)?)\)?(::[^()']+(\([\d,]+\))?)?$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Number();

    // 'it''s'::text, 'low'::mood. Not E'…', which has other escapes, and not an expression that is computed.
    [GeneratedRegex(@"^'(?<value>([^'\\]|'')*)'::[^()']+(\([\d,]+\))?( with(out)? time zone)?(\[\])*$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Literal();
}
