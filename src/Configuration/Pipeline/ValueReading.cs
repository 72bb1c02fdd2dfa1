using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the section <c>values</c> of a source or a table.</summary>
internal static class ValueReading
{
    private const int MostMoneyDigits = 18;

    private static readonly (string Word, DecimalForm Form)[] Decimals =
        [("string", DecimalForm.Text), ("precise", DecimalForm.Precise), ("double", DecimalForm.FloatingPoint)];

    private static readonly (string Word, TimeForm Form)[] Times =
    [
        ("adaptive", TimeForm.Adaptive), ("adaptive_time_microseconds", TimeForm.AdaptiveTimeMicroseconds), ("connect", TimeForm.Connect),
        ("microseconds", TimeForm.Microseconds), ("nanoseconds", TimeForm.Nanoseconds), ("isostring", TimeForm.IsoString),
        ("structured", TimeForm.Structured),
    ];

    private static readonly (string Word, BinaryForm Form)[] Binaries =
        [("base64", BinaryForm.Base64), ("bytes", BinaryForm.Base64), ("base64-url-safe", BinaryForm.Base64Url), ("hex", BinaryForm.Hex)];

    private static readonly (string Word, IntervalForm Form)[] Intervals = [("numeric", IntervalForm.Numeric), ("string", IntervalForm.Text)];

    private static readonly (string Word, HstoreForm Form)[] Hstores = [("json", HstoreForm.Json), ("map", HstoreForm.Map)];

    /// <summary>
    /// Reads the section. Keys that are missing have the value of <paramref name="defaults"/>. Null when there is no section.
    /// </summary>
    public static ValueOptions? Read(Value? value, ValueOptions defaults)
    {
        if (value?.AsSection("decimals", "times", "binary", "intervals", "hstore", "money_digits", "unavailable") is not { } section)
            return null;
        return new ValueOptions
        {
            Decimals = Word(section.Find("decimals"), Decimals) ?? defaults.Decimals,
            Times = Word(section.Find("times"), Times) ?? defaults.Times,
            Binary = Word(section.Find("binary"), Binaries) ?? defaults.Binary,
            Intervals = Word(section.Find("intervals"), Intervals) ?? defaults.Intervals,
            Hstore = Word(section.Find("hstore"), Hstores) ?? defaults.Hstore,
            MoneyDigits = section.Find("money_digits")?.AsInteger(0, MostMoneyDigits) ?? defaults.MoneyDigits,
            Unavailable = section.Find("unavailable")?.AsText() ?? defaults.Unavailable,
        };
    }

    private static T? Word<T>(Value? value, (string Word, T Form)[] words)
        where T : struct
    {
        var text = value?.AsWord([.. words.Select(w => w.Word)]);
        return text is null ? null : words.First(w => w.Word == text).Form;
    }
}
