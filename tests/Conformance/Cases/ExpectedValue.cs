using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CdcOrleans.Conformance.Cases;

/// <summary>
/// Compares values with what is expected of them. An expected value is JSON, with short forms: <c>"ab*3000"</c> is a text repeated so often;
/// <c>"ab*3000?"</c> may be the placeholder instead; <c>{"?": VALUE}</c> is the value or the placeholder; <c>{"times": 600, "of": VALUE}</c>
/// is an array of the value repeated; <c>{"any": [VALUE, …]}</c> is one of several; <c>{"md5s": 100}</c> is the MD5 sums of the texts 1 to 100 in a row.
/// </summary>
internal static partial class ExpectedValue
{
    public static bool Fits(JsonNode? expected, JsonNode? actual)
    {
        if (expected is JsonValue && expected.GetValueKind() == System.Text.Json.JsonValueKind.String
            && Repetition().Match(expected.GetValue<string>()) is { Success: true } repeated)
        {
            return (repeated.Groups[3].Length > 0 && JsonText.IsPlaceholder(actual))
                || JsonText.Equal(JsonValue.Create(Repeated(repeated.Groups[1].Value, Number(repeated.Groups[2].Value))), actual);
        }

        if (expected is not JsonObject form)
            return JsonText.Equal(expected, actual);
        if (form.Count == 1 && form.ContainsKey("?"))
            return JsonText.IsPlaceholder(actual) || Fits(form["?"], actual);
        if (form.Count == 1 && form["any"] is JsonArray any)
            return any.Any(e => Fits(e, actual));
        if (form.Count == 1 && form["md5s"] is { } sums)
            return actual is JsonValue text && text.TryGetValue<string>(out var found) && found == Sums(sums.GetValue<int>());
        if (form.Count == 2 && form["times"] is { } times && form.ContainsKey("of"))
            return actual is JsonArray array && array.Count == times.GetValue<int>() && array.All(e => Fits(form["of"], e));
        return actual is JsonObject row && row.Count == form.Count && form.All(p => row.ContainsKey(p.Key) && Fits(p.Value, row[p.Key]));
    }

    /// <summary>Whether a row before is null, or has only what the table had: each column is right, or nothing stands for it.</summary>
    public static bool FitsBefore(JsonNode? expected, JsonNode? actual, JsonObject? key)
    {
        if (actual is null)
            return true;
        if (actual is not JsonObject row || expected is not JsonObject truth)
            return false;
        return row.All(p => key?.ContainsKey(p.Key) == true
            ? JsonText.Equal(key[p.Key], p.Value)
            : KnownRows.IsNothing(p.Value) || (truth.ContainsKey(p.Key) && Fits(truth[p.Key], p.Value)));
    }

    private static string Repeated(string text, int times) => new StringBuilder(text.Length * times).Insert(0, text, times).ToString();

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string Sums(int count) => string.Concat(Enumerable.Range(1, count).Select(i =>
        Convert.ToHexStringLower(Md5(i.ToString(CultureInfo.InvariantCulture)))));

#pragma warning disable CA5351 // PostgreSQL's md5(), which the inputs use for text that does not repeat.
    private static byte[] Md5(string text) => MD5.HashData(Encoding.ASCII.GetBytes(text));
#pragma warning restore CA5351

    [GeneratedRegex(@"^(.+)\*(\d+)(\??)$")]
    private static partial Regex Repetition();
}
