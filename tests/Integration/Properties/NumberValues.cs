using System.Globalization;

namespace CdcOrleans.Integration.Properties;

/// <summary>Random numbers, bits and positions.</summary>
internal static class NumberValues
{
    public static string Integer(Dice dice, long least, long most) => Text(dice.Below(6) switch
    {
        0 => least,
        1 => most,
        2 => 0,
        3 => dice.Between(long.Max(least, -9), long.Min(most, 9)),
        _ => dice.Between(least / 2, most / 2),
    });

    public static string Numeric(Dice dice) => dice.Below(8) switch
    {
        0 => dice.Pick("NaN", "Infinity", "-Infinity", "0", "-0.000", "1e-30", "1.5e100", "0.1000000000000000000000000000000000000"),
        1 => $"{Sign(dice)}{Digits(dice, 1, 60)}.{Digits(dice, 1, 40)}",
        2 => $"{Digits(dice, 1, 2)}{new string('0', dice.Below(30))}",
        _ => $"{Sign(dice)}{Digits(dice, 1, 12)}.{Digits(dice, 1, 6)}",
    };

    /// <summary>A number that fits <c>numeric(precision, scale)</c>, whatever it is rounded to.</summary>
    public static string Numeric(Dice dice, int precision, int scale)
    {
        if (dice.Chance(5))
            return "NaN";
        var whole = precision - scale;
        var digits = whole > 1 ? Digits(dice, 1, whole - 1) : "0";
        return scale > 0 ? $"{Sign(dice)}{digits}.{Digits(dice, 1, scale)}" : $"{Sign(dice)}{digits}";
    }

    public static string Single(Dice dice) => Special(dice) ?? Finite(BitConverter.Int32BitsToSingle((int)dice.Bits()));

    public static string Double(Dice dice) => Special(dice) ?? Finite(BitConverter.Int64BitsToDouble((long)dice.Bits()));

    /// <summary>A coordinate that is a number.</summary>
    public static string Coordinate(Dice dice) => dice.Below(3) switch
    {
        0 => Text(dice.Between(-100, 100)),
        1 => (dice.Between(-1_000_000_000L, 1_000_000_000L) / 1000d).ToString("R", CultureInfo.InvariantCulture),
        _ => (dice.Between(1, 999_999) * 1e-12).ToString("R", CultureInfo.InvariantCulture),
    };

    public static string Money(Dice dice) => dice.Below(5) switch
    {
        0 => dice.Pick("-92233720368547758.08", "92233720368547758.07", "0"),
        _ => $"{Sign(dice)}{Digits(dice, 1, 12)}.{Digits(dice, 2, 2)}",
    };

    public static string Bits(Dice dice, int least, int most) =>
        string.Concat(Enumerable.Range(0, dice.Between(least, most)).Select(_ => dice.Chance(50) ? '1' : '0'));

    public static string Lsn(Dice dice) =>
        string.Create(CultureInfo.InvariantCulture, $"{(uint)dice.Bits() >> dice.Below(32):X}/{(uint)dice.Bits() >> dice.Below(32):X}");

    public static string Digits(Dice dice, int least, int most) => dice.Join("", least, most, d => Text(d.Below(10)));

    public static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Sign(Dice dice) => dice.Chance(40) ? "-" : "";

    private static string? Special(Dice dice) => dice.Below(4) switch
    {
        0 => dice.Pick("NaN", "Infinity", "-Infinity", "0", "-0", "1", "0.1", "-1.5", "1e10", "123456.7"),
        1 => Coordinate(dice),
        _ => null,
    };

    private static string Finite(float number) => float.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "NaN";

    private static string Finite(double number) => double.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "Infinity";
}
