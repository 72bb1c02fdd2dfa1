using System.Globalization;

namespace CdcOrleans.Integration.Properties;

/// <summary>Random dates, times and intervals, at the ends of their ranges too.</summary>
internal static class TimeValues
{
    public static string Date(Dice dice) => dice.Chance(10)
        ? dice.Pick("infinity", "-infinity", "epoch", "0001-01-01 BC", "5874897-12-31", "4713-01-01 BC", "1582-10-15", "2024-02-29")
        : Day(dice, 5_000_000);

    public static string Timestamp(Dice dice) => dice.Chance(10)
        ? dice.Pick("infinity", "-infinity", "epoch", "294276-12-31 23:59:59.999999", "4713-01-02 00:00:00 BC", "2000-01-01 24:00:00")
        : InDay(dice, "");

    public static string TimestampWithZone(Dice dice) => dice.Chance(10)
        ? dice.Pick("infinity", "-infinity", "294276-12-30 23:59:59.999999+00", "4713-01-03 00:00:00+00 BC", "1883-11-18 12:00:00-04:56:02")
        : InDay(dice, Zone(dice));

    public static string Time(Dice dice) => dice.Chance(10) ? dice.Pick("24:00:00", "00:00:00", "23:59:59.999999") : Clock(dice);

    public static string TimeWithZone(Dice dice) => $"{Time(dice)}{Zone(dice)}";

    public static string Interval(Dice dice) => dice.Chance(10)
        ? dice.Pick("178000000 years", "-178000000 years", "0", "2147483647 days", "-2562047788:00:54.775807", "1 mon", "30 days", "720:00:00")
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{dice.Between(-50, 50)} years {dice.Between(-13, 13)} mons {dice.Between(-40, 40)} days {(dice.Chance(50) ? "-" : "+")}{Clock(dice)}");

    /// <summary>A day of this era; days of a smaller number come before those of a larger.</summary>
    public static string DayOf(int number) =>
        new DateOnly(1900, 1, 1).AddDays(number).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Day(Dice dice, int lastYear)
    {
        var before = dice.Chance(10);
        var year = before ? dice.Between(1, 4700) : dice.Chance(15) ? dice.Between(1, lastYear) : dice.Between(1900, 2100);
        return string.Create(CultureInfo.InvariantCulture, $"{year:0000}-{dice.Between(1, 12):00}-{dice.Between(1, 28):00}{(before ? " BC" : "")}");
    }

    private static string InDay(Dice dice, string zone)
    {
        var day = Day(dice, 290_000);
        var clock = $"{Clock(dice)}{zone}";
        return day.EndsWith(" BC", StringComparison.Ordinal) ? $"{day[..^3]} {clock} BC" : $"{day} {clock}";
    }

    private static string Clock(Dice dice)
    {
        var fraction = dice.Below(3) switch
        {
            0 => "",
            1 => "." + NumberValues.Digits(dice, 1, 6),
            _ => "." + NumberValues.Digits(dice, 3, 3),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{dice.Below(24):00}:{dice.Below(60):00}:{dice.Below(60):00}{fraction}");
    }

    private static string Zone(Dice dice) => dice.Below(4) switch
    {
        0 => "+00",
        1 => string.Create(CultureInfo.InvariantCulture, $"{(dice.Chance(50) ? "-" : "+")}{dice.Below(16):00}:{dice.Below(60):00}:{dice.Below(60):00}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(dice.Chance(50) ? "-" : "+")}{dice.Below(15):00}:{dice.Pick(0, 30, 45):00}"),
    };
}
