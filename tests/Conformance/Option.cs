using System.Globalization;

namespace CdcOrleans.Conformance;

/// <summary>A choice of how values are written.</summary>
/// <param name="Key">Its name in <c>cdc.yaml</c>.</param>
/// <param name="Setting">Debezium's name for it.</param>
/// <param name="Value">What is chosen; the words are the same.</param>
/// <param name="Allowed">Values that may differ under it.</param>
internal sealed record Option(string Key, string Setting, string Value, params IReadOnlyList<Allowance> Allowed)
{
    public static Option Decimals(string value) =>
        new("decimals", "decimal.handling.mode", value, value == "precise" ? [Allowances.NoNumber, Allowances.ShorterScale] : []);

    public static Option Times(string value) => new("times", "time.precision.mode", value, value switch
    {
        "connect" => [],
        "structured" => [Allowances.NoEndOfDay],
        "microseconds" => [Allowances.BeyondMicroseconds, Allowances.RoundMicroseconds],
        "nanoseconds" => [Allowances.BeyondNanoseconds],
        "isostring" => [Allowances.InfiniteDate, Allowances.EndOfDay],
        _ => [Allowances.BeyondMicroseconds],
    });

    public static Option Binary(string value) => new("binary", "binary.handling.mode", value);

    public static Option Intervals(string value) => new("intervals", "interval.handling.mode", value);

    public static Option Hstore(string value) => new("hstore", "hstore.handling.mode", value);

    public static Option MoneyDigits(int digits) => new("money_digits", "money.fraction.digits", digits.ToString(CultureInfo.InvariantCulture));
}
