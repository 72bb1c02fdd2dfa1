using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CdcOrleans.Conformance;

/// <summary>A column's value that is not the same.</summary>
/// <param name="Column">The column's name; those of the script of types tell their type.</param>
/// <param name="Theirs">Their value.</param>
/// <param name="Ours">Our value.</param>
/// <param name="Row">Our row.</param>
internal readonly record struct Difference(string Column, JsonNode? Theirs, JsonNode? Ours, JsonNode Row);

/// <summary>Whether a column's value may differ so; true only where ours is better, and docs/compatibility.md says why.</summary>
internal delegate bool Allowance(Difference difference);

/// <summary>What an option has no form for, each for the option that it concerns.</summary>
internal static partial class Allowances
{
    private const string Infinity = "9223372036854775807";
    private const string Greatest = "9223372036854775806";

    /// <summary>A number that is none: theirs is null, ours its name.</summary>
    public static bool NoNumber(Difference d) =>
        d.Column == "c_numeric" && d.Theirs is null && Text(d.Ours) is "NAN" or "POSITIVE_INFINITY" or "NEGATIVE_INFINITY";

    /// <summary>A decimal number with a scale of its own: theirs loses the zeros at its end.</summary>
    public static bool ShorterScale(Difference d) => Each(d, ShorterScale) || IsShorter(d.Theirs, d.Ours);

    /// <summary>A timestamp beyond 64 bits of microseconds: theirs becomes that of infinity, ours stays below it.</summary>
    public static bool BeyondMicroseconds(Difference d) => IsFinite(d.Row) && Digits(d.Theirs) == Infinity && Digits(d.Ours) == Greatest;

    /// <summary>The same with three digits of fraction, in microseconds: theirs goes round and is before all times.</summary>
    public static bool RoundMicroseconds(Difference d) => IsFinite(d.Row) && Digits(d.Theirs) == "-9223372036853776809" && Digits(d.Ours) == Greatest;

    /// <summary>A timestamp beyond 64 bits of nanoseconds: theirs is null, ours its text.</summary>
    public static bool BeyondNanoseconds(Difference d) => Each(d, BeyondNanoseconds)
        || (d.Theirs is null && Text(d.Ours) is { } text && Timestamp().IsMatch(text));

    /// <summary>An infinite date or timestamp: theirs is one that infinity is not.</summary>
    public static bool InfiniteDate(Difference d) => Each(d, InfiniteDate) || (Text(d.Ours), Text(d.Theirs)) is
        ("infinity", "+5877611-06-21Z" or "+292278994-08-16T23:00:00Z") or ("-infinity", "-5877611-06-22Z" or "-292275055-05-16T23:00:00Z");

    /// <summary>The end of a day: theirs is its beginning.</summary>
    public static bool EndOfDay(Difference d) => Text(d.Theirs) == "00:00:00Z" && Text(d.Ours) == "24:00:00Z";

    /// <summary>The end of a day as an object: theirs is null.</summary>
    public static bool NoEndOfDay(Difference d) => d.Theirs is null && d.Ours is JsonObject { Count: 5 } time && Digits(time["hour"]) == "24";

    // A row of infinite timestamps has one with a zone too, whose text is the same under all options.
    private static bool IsFinite(JsonNode row) => Text(row["c_timestamptz"]) != "infinity";

    // Elements one by one, where it is an array.
    private static bool Each(Difference d, Allowance allowance) => d.Theirs is JsonArray theirs && d.Ours is JsonArray ours && theirs.Count == ours.Count
        && theirs.Zip(ours).All(p => JsonText.Equal(p.First, p.Second) || allowance(d with { Theirs = p.First, Ours = p.Second }));

    private static bool IsShorter(JsonNode? left, JsonNode? right) =>
        left is JsonObject theirs && right is JsonObject ours && Unscaled(theirs) is var (number, scale) && Unscaled(ours) is var (whole, longer)
        && longer > scale && number * BigInteger.Pow(10, longer - scale) == whole;

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static string? Digits(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.Number ? value.ToJsonString() : null;

    private static (BigInteger Number, int Scale)? Unscaled(JsonNode variable) =>
        Text(variable["value"]) is { } bytes && variable["scale"] is JsonValue scale
            ? (new BigInteger(Convert.FromBase64String(bytes), isBigEndian: true), scale.GetValue<int>())
            : null;

    [GeneratedRegex(@"^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?( BC)?$")]
    private static partial Regex Timestamp();
}
