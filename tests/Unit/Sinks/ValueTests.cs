using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks.Formats;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

/// <summary>The golden values were captured from a running Debezium 3.7 (decimals as strings, JSON without schemas).</summary>
public sealed class ValueTests
{
    [Theory]
    [InlineData(21, -1, "-32768", "-32768")]
    [InlineData(23, -1, "2147483647", "2147483647")]
    [InlineData(20, -1, "9223372036854775807", "9223372036854775807")]
    [InlineData(26, -1, "4294967295", "4294967295")]
    [InlineData(23, -1, "0", "0")]
    [InlineData(25, -1, "he\"l\\lo\n\t\u0001\u007f é😀/", "\"he\\\"l\\\\lo\\n\\t\\u0001\u007f é😀/\"")]
    [InlineData(1042, 9, "ab   ", "\"ab   \"")]
    [InlineData(18, -1, "x", "\"x\"")]
    [InlineData(19, -1, "nm", "\"nm\"")]
    [InlineData(1700, -1, "1.10", "\"1.10\"")]
    [InlineData(1700, -1, "0.000000000000001", "\"0.000000000000001\"")]
    [InlineData(1700, -1, "NaN", "\"NAN\"")]
    [InlineData(1700, -1, "Infinity", "\"POSITIVE_INFINITY\"")]
    [InlineData(1700, -1, "-Infinity", "\"NEGATIVE_INFINITY\"")]
    [InlineData(701, -1, "1.5", "1.5")]
    [InlineData(701, -1, "1e+300", "1.0E300")]
    [InlineData(701, -1, "-0", "-0.0")]
    [InlineData(701, -1, "1234567", "1234567.0")]
    [InlineData(701, -1, "5e-324", "4.9E-324")]
    [InlineData(701, -1, "-1e-323", "-9.9E-324")]
    [InlineData(701, -1, "2e-310", "2.0E-310")]
    [InlineData(701, -1, "3e+22", "3.0E22")]
    [InlineData(700, -1, "1e-45", "1.4E-45")]
    [InlineData(700, -1, "-3e-45", "-2.8E-45")]
    [InlineData(700, -1, "1e-40", "1.0E-40")]
    [InlineData(700, -1, "3e+20", "3.0E20")]
    [InlineData(700, -1, "1e-05", "1.0E-5")]
    [InlineData(700, -1, "NaN", "\"NaN\"")]
    [InlineData(700, -1, "Infinity", "\"Infinity\"")]
    [InlineData(700, -1, "-Infinity", "\"-Infinity\"")]
    [InlineData(790, -1, "-$12.34", "\"-12.34\"")]
    [InlineData(790, -1, "$92,233,720,368,547,758.07", "\"92233720368547758.07\"")]
    [InlineData(790, -1, "1.234,50 €", "\"1234.50\"")]
    [InlineData(790, -1, "($5.00)", "\"-5.00\"")]
    [InlineData(790, -1, "¥1,234", "\"1234.00\"")]
    [InlineData(16, -1, "t", "true")]
    [InlineData(16, -1, "f", "false")]
    [InlineData(1082, -1, "2024-02-29", "19782")]
    [InlineData(1082, -1, "1970-01-01", "0")]
    [InlineData(1082, -1, "4713-01-01 BC", "-2440550")]
    [InlineData(1082, -1, "5874897-12-31", "2145042905")]
    [InlineData(1082, -1, "0001-01-01", "-719162")]
    [InlineData(1082, -1, "0001-01-01 BC", "-719528")]
    [InlineData(1082, -1, "1582-10-04", "-141438")]
    [InlineData(1082, -1, "infinity", "2146033979")]
    [InlineData(1082, -1, "-infinity", "-2147472691")]
    [InlineData(1083, -1, "12:34:56.789012", "45296789012")]
    [InlineData(1083, 3, "12:34:56.789", "45296789")]
    [InlineData(1083, 0, "12:34:56", "45296000")]
    [InlineData(1083, -1, "24:00:00", "86400000000")]
    [InlineData(1083, 3, "24:00:00", "86400000")]
    [InlineData(1114, -1, "2024-02-29 12:34:56.789012", "1709210096789012")]
    [InlineData(1114, 3, "2024-02-29 12:34:56.789", "1709210096789")]
    [InlineData(1114, 0, "2024-02-29 12:34:56", "1709210096000")]
    [InlineData(1114, -1, "4713-01-01 00:00:00 BC", "-210863520000000000")]
    [InlineData(1114, 3, "0044-03-15 12:34:56.789 BC", "-63517778703211")]
    [InlineData(1114, 0, "0001-12-31 23:59:59 BC", "-62135596801000")]
    [InlineData(1114, -1, "1582-10-10 01:02:03.000001", "-12219721076999999")]
    [InlineData(1114, 3, "294276-12-31 23:59:59.999", "9224318015999999")]
    [InlineData(1114, -1, "294276-12-31 23:59:59.999999", "9223372036854775806")]
    [InlineData(1114, -1, "infinity", "9223372036854775807")]
    [InlineData(1114, -1, "-infinity", "-9223372036854775808")]
    [InlineData(1114, 3, "infinity", "9223372036825200000")]
    [InlineData(1114, 0, "-infinity", "-9223372036832400000")]
    [InlineData(1184, -1, "2024-02-29 12:34:56.789012+00", "\"2024-02-29T12:34:56.789012Z\"")]
    [InlineData(1184, 3, "2024-02-29 12:34:56.78+00", "\"2024-02-29T12:34:56.780Z\"")]
    [InlineData(1184, 0, "2024-02-29 12:34:56+00", "\"2024-02-29T12:34:56Z\"")]
    [InlineData(1184, -1, "2024-03-01 00:30:00+05:30", "\"2024-02-29T19:00:00.000000Z\"")]
    [InlineData(1184, -1, "2023-12-31 20:00:00.5-04", "\"2024-01-01T00:00:00.500000Z\"")]
    [InlineData(1184, -1, "1850-01-01 00:53:28+00:53:28", "\"1850-01-01T00:00:00.000000Z\"")]
    [InlineData(1184, -1, "4713-01-01 00:00:00+00 BC", "\"-4712-01-01T00:00:00.000000Z\"")]
    [InlineData(1184, 3, "0044-03-15 12:34:56.7+00 BC", "\"-0043-03-15T12:34:56.700Z\"")]
    [InlineData(1184, -1, "294276-12-31 23:59:59.999999+00", "\"+294276-12-31T23:59:59.999999Z\"")]
    [InlineData(1184, -1, "10000-01-01 00:00:00+00", "\"+10000-01-01T00:00:00.000000Z\"")]
    [InlineData(1184, -1, "infinity", "\"infinity\"")]
    [InlineData(1184, -1, "-infinity", "\"-infinity\"")]
    [InlineData(2950, -1, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"")]
    [InlineData(114, -1, "{\"a\" : 1, \"b\":[1,  2]}", "\"{\\\"a\\\" : 1, \\\"b\\\":[1,  2]}\"")]
    [InlineData(3802, -1, "null", "\"null\"")]
    [InlineData(17, -1, "\\xdeadbeef00", "\"3q2+7wA=\"")]
    [InlineData(17, -1, "\\x", "\"\"")]
    [InlineData(17, -1, "a\\\\b\\336", "\"YVxi3g==\"")]
    [InlineData(869, -1, "10.0.0.1/24", "\"10.0.0.1/24\"")]
    [InlineData(1082, -1, "29.02.2024", "\"29.02.2024\"")]
    [InlineData(23, -1, "007", "\"007\"")]
    [InlineData(701, -1, "1.", "\"1.\"")]
    public void Values_are_those_of_debezium(int oid, int modifier, string text, string json) =>
        Assert.Equal(json, Write((uint)oid, modifier, Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Any_text_parses_back_equal()
    {
        var character = Gen.OneOf(
            Gen.Int[0, 0x1f].Select(c => ((char)c).ToString()),
            Gen.OneOf("\"", "\\", "/", "\u007f", "\u2028", "é", "😀", "\ud83d\udc69\u200d\ud83d\udcbb", "\uffff"),
            Gen.Char[' ', '\ud7ff'].Select(c => c.ToString()));
        character.List[0, 200].Sample(parts =>
        {
            var text = string.Concat(parts);
            return JsonSerializer.Deserialize<string>(Write(25, -1, Encoding.UTF8.GetBytes(text))) == text;
        });
    }

    [Fact]
    public void Any_bytes_in_any_type_give_valid_json()
    {
        var oid = Gen.OneOf<uint>(16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 790, 1042, 1043, 1082, 1083, 1114, 1184, 1700, 2950, 3802, 600);
        var text = Gen.OneOf(
            Gen.Byte.Array[0, 40],
            Gen.Int[0, 30].SelectMany(n => Gen.OneOf("0123456789-+:. eEBCxinfNaty\\".ToCharArray()).Array[n]).Select(c => Encoding.ASCII.GetBytes(c)));
        Gen.Select(oid, Gen.Int[-1, 6], text).Sample((type, modifier, bytes) =>
        {
            using var parsed = JsonDocument.Parse(Write(type, modifier, bytes));
        });
    }

    [Fact]
    public void Any_timestamp_is_the_one_that_dotnet_computes()
    {
        var ticks = Gen.Long[DateTime.MinValue.AddDays(2).Ticks, DateTime.MaxValue.AddDays(-2).Ticks].Select(t => t / 10 * 10);
        Gen.Select(ticks, Gen.Int[-15 * 60, 15 * 60]).Sample((t, offset) =>
        {
            var utc = new DateTime(t, DateTimeKind.Utc);
            var local = utc.AddMinutes(offset).ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture);
            var zone = $"{(offset < 0 ? '-' : '+')}{Math.Abs(offset) / 60:00}:{Math.Abs(offset) % 60:00}";
            Assert.Equal($"\"{utc:yyyy-MM-ddTHH:mm:ss.ffffff}Z\"", Write(1184, -1, Encoding.ASCII.GetBytes(local + zone)));
            var micros = (utc - DateTime.UnixEpoch).Ticks / 10;
            Assert.Equal(
                micros.ToString(CultureInfo.InvariantCulture),
                Write(1114, -1, Encoding.ASCII.GetBytes(utc.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture))));
        });
    }

    [Fact]
    public void Any_numeric_keeps_its_text() =>
        Gen.Decimal.Sample(number =>
        {
            var text = number.ToString(CultureInfo.InvariantCulture);
            return Write(1700, -1, Encoding.ASCII.GetBytes(text)) == $"\"{text}\"";
        });

    [Fact]
    public void Any_double_parses_back_equal() =>
        Gen.Double.Where(double.IsFinite).Sample(number =>
        {
            var text = number.ToString("R", CultureInfo.InvariantCulture);
            return BitConverter.DoubleToInt64Bits(JsonSerializer.Deserialize<double>(Write(701, -1, Encoding.ASCII.GetBytes(text))))
                == BitConverter.DoubleToInt64Bits(number);
        });

    private static string Write(uint oid, int modifier, byte[] text)
    {
        var json = new JsonRowFormatter().ToJson(Rows.Table(("c", oid, modifier)), Rows.Image(text), ValueOptions.Default);
        Assert.StartsWith("{\"c\":", json, StringComparison.Ordinal);
        return json[5..^1];
    }
}
