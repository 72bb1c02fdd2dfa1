using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CdcOrleans.Conformance;

/// <summary>Whether a column's value may differ so; true only where ours is better, and docs/compatibility.md says why.</summary>
internal delegate bool Allowance(JsonNode? theirs, JsonNode? ours);

/// <summary>What an option has no form for, each for the option that it concerns.</summary>
internal static partial class Allowances
{
    private const string Infinity = "9223372036854775807";
    private const string Greatest = "9223372036854775806";

    /// <summary>A number that is none: theirs is null, ours its name.</summary>
    public static bool NoNumber(JsonNode? theirs, JsonNode? ours) =>
        theirs is null && Text(ours) is "NAN" or "POSITIVE_INFINITY" or "NEGATIVE_INFINITY";

    /// <summary>A decimal number with a scale of its own: theirs loses the zeros at its end.</summary>
    public static bool ShorterScale(JsonNode? theirs, JsonNode? ours) =>
        theirs is JsonObject && ours is JsonObject && Unscaled(theirs) is var (number, scale) && Unscaled(ours) is var (whole, longer)
        && longer > scale && number * BigInteger.Pow(10, longer - scale) == whole;

    /// <summary>A timestamp beyond 64 bits of microseconds: theirs becomes that of infinity, ours stays below it.</summary>
    public static bool BeyondMicroseconds(JsonNode? theirs, JsonNode? ours) => Digits(theirs) == Infinity && Digits(ours) == Greatest;

    /// <summary>The same with three digits of fraction, in microseconds: theirs goes round and is before all times.</summary>
    public static bool RoundMicroseconds(JsonNode? theirs, JsonNode? ours) => Digits(theirs) == "-9223372036853776809" && Digits(ours) == Greatest;

    /// <summary>A timestamp beyond 64 bits of nanoseconds: theirs is null, ours its text.</summary>
    public static bool BeyondNanoseconds(JsonNode? theirs, JsonNode? ours) => theirs is null && Text(ours) is { } text && Timestamp().IsMatch(text);

    /// <summary>An infinite date or timestamp: theirs is one that infinity is not.</summary>
    public static bool InfiniteDate(JsonNode? theirs, JsonNode? ours) => (Text(ours), Text(theirs)) is
        ("infinity", "+5877611-06-21Z" or "+292278994-08-16T23:00:00Z") or ("-infinity", "-5877611-06-22Z" or "-292275055-05-16T23:00:00Z");

    /// <summary>The end of a day: theirs is its beginning.</summary>
    public static bool EndOfDay(JsonNode? theirs, JsonNode? ours) => Text(theirs) == "00:00:00Z" && Text(ours) == "24:00:00Z";

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static string? Digits(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.Number ? value.ToJsonString() : null;

    private static (BigInteger Number, int Scale)? Unscaled(JsonNode variable) =>
        Text(variable["value"]) is { } bytes && variable["scale"] is JsonValue scale
            ? (new BigInteger(Convert.FromBase64String(bytes), isBigEndian: true), scale.GetValue<int>())
            : null;

    [GeneratedRegex(@"^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?( BC)?$")]
    private static partial Regex Timestamp();
}
