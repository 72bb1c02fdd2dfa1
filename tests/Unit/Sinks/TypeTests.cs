using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Sinks.Formats;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

/// <summary>Types beyond the common ones, arrays, and the options.</summary>
public sealed class TypeTests
{
    [Theory]
    [InlineData(1186, -1, "1 year 2 mons 3 days 04:05:06.789", "37091106789000")]
    [InlineData(1186, -1, "00:00:00", "0")]
    [InlineData(1186, -1, "-1 days +02:03:04", "-79016000000")]
    [InlineData(1186, -1, "-00:00:00.000001", "-1")]
    [InlineData(1186, -1, "178000000 years", "5617252800000000000000", true)]
    [InlineData(1266, -1, "12:34:56.789+02", "\"10:34:56.789Z\"")]
    [InlineData(1266, -1, "00:30:00+05:30", "\"19:00:00Z\"")]
    [InlineData(1266, -1, "24:00:00+00", "\"24:00:00Z\"")]
    [InlineData(1560, 1, "1", "true")]
    [InlineData(1560, 1, "0", "false")]
    [InlineData(1560, 10, "1000000001", "\"AQI=\"")]
    [InlineData(1562, 16, "101", "\"BQ==\"")]
    [InlineData(1560, 12, "000000000000", "\"\"")]
    [InlineData(1562, -1, "", "\"\"")]
    [InlineData(600, -1, "(1,-2.5)", "{\"x\":1.0,\"y\":-2.5,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAATA\",\"srid\":null}")]
    [InlineData(628, -1, "{1,2,3}", "{\"a\":1.0,\"b\":2.0,\"c\":3.0}")]
    [InlineData(601, -1, "[(1,2),(3,4)]", "{\"wkb\":\"AQIAAAACAAAAAAAAAAAA8D8AAAAAAAAAQAAAAAAAAAhAAAAAAAAAEEA=\",\"srid\":null,\"extensions\":{\"type\":\"lseg\"}}")]
    [InlineData(603, -1, "(3,4),(1,2)", "{\"wkb\":\"AQMAAAABAAAABQAAAAAAAAAAAAhAAAAAAAAAEEAAAAAAAAAIQAAAAAAAAABAAAAAAAAA8D8AAAAAAAAAQAAAAAAAAPA/AAAAAAAAEEAAAAAAAAAIQAAAAAAAABBA\",\"srid\":null,\"extensions\":{\"type\":\"box\"}}")]
    [InlineData(604, -1, "((1,2),(3,4),(5,6))", "{\"wkb\":\"AQMAAAABAAAABAAAAAAAAAAAAPA/AAAAAAAAAEAAAAAAAAAIQAAAAAAAABBAAAAAAAAAFEAAAAAAAAAYQAAAAAAAAPA/AAAAAAAAAEA=\",\"srid\":null,\"extensions\":{\"type\":\"polygon\"}}")]
    [InlineData(718, -1, "<(1,2),3>", "{\"center\":{\"x\":1.0,\"y\":2.0,\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAABA\",\"srid\":null},\"radius\":3.0}")]
    [InlineData(718, -1, "circle", "\"circle\"")]
    [InlineData(3904, -1, "[1,10)", "\"[1,10)\"")]
    [InlineData(3614, -1, "'a':1 'b':2", "\"'a':1 'b':2\"")]
    [InlineData(3220, -1, "16/B374D848", "\"16/B374D848\"")]
    public void Values_of_further_types(int oid, int modifier, string text, string json, bool clamped = false) =>
        Assert.Equal(clamped ? long.MaxValue.ToString(System.Globalization.CultureInfo.InvariantCulture) : json, Write(Column((uint)oid, modifier), text));

    [Theory]
    [InlineData(23, "{1,NULL,-3}", "[1,null,-3]")]
    [InlineData(23, "{}", "[]")]
    [InlineData(23, "{{1,2},{3,4}}", "[[1,2],[3,4]]")]
    [InlineData(23, "[0:1]={7,8}", "[7,8]")]
    [InlineData(23, "[-1:0][2:3]={{1,2},{3,4}}", "[[1,2],[3,4]]")]
    [InlineData(25, "{plain,\"with \\\"quotes\\\", comma and \\\\\",\"NULL\",NULL,\"\",\"né\"}", "[\"plain\",\"with \\\"quotes\\\", comma and \\\\\",\"NULL\",null,\"\",\"né\"]")]
    [InlineData(16, "{t,f,NULL}", "[true,false,null]")]
    [InlineData(1700, "{1.10,NaN}", "[\"1.10\",\"NAN\"]")]
    [InlineData(1082, "{2024-02-29,infinity}", "[19782,2146033979]")]
    [InlineData(17, "{\"\\\\xdead\"}", "[\"3q0=\"]")]
    [InlineData(1184, "{\"2024-02-29 12:34:56+00\"}", "[\"2024-02-29T12:34:56.000000Z\"]")]
    [InlineData(3802, "{\"{\\\"a\\\": 1}\"}", "[\"{\\\"a\\\": 1}\"]")]
    [InlineData(23, "{1,2", "\"{1,2\"")]
    [InlineData(23, "1,2", "\"1,2\"")]
    public void Arrays_are_json_arrays(int oid, string text, string json) => Assert.Equal(json, Write(Array((uint)oid), text));

    [Fact]
    public void Boxes_stand_between_semicolons() =>
        Assert.Equal(2, JsonDocument.Parse(Write(Array(603, ';'), "{(2,2),(1,1);(4,4),(3,3)}")).RootElement.GetArrayLength());

    [Theory]
    [InlineData("decimals", 1700, (3 << 16 | 2) + 4, "1.10", "\"bg==\"")]
    [InlineData("decimals", 1700, (3 << 16 | 2) + 4, "-1.10", "\"kg==\"")]
    [InlineData("decimals", 1700, -1, "123.4567", "{\"scale\":4,\"value\":\"EtaH\"}")]
    [InlineData("decimals", 1700, -1, "NaN", "\"NAN\"")]
    [InlineData("decimals", 790, -1, "$12.34", "\"BNI=\"")]
    [InlineData("double", 1700, -1, "1.10", "1.1")]
    [InlineData("double", 1700, -1, "-Infinity", "\"-Infinity\"")]
    [InlineData("double", 790, -1, "-$12.34", "-12.34")]
    [InlineData("iso", 1082, -1, "2024-02-29", "\"2024-02-29Z\"")]
    [InlineData("iso", 1083, -1, "12:34:56.7", "\"12:34:56.7Z\"")]
    [InlineData("iso", 1114, -1, "2024-02-29 12:34:56.789012", "\"2024-02-29T12:34:56.789012Z\"")]
    [InlineData("nanos", 1083, 3, "00:00:00.001", "1000000")]
    [InlineData("nanos", 1114, 3, "1970-01-01 00:00:00.001", "1000000")]
    [InlineData("nanos", 1114, -1, "2262-04-12 00:00:00", "\"2262-04-12 00:00:00\"")]
    [InlineData("iso", 1114, -1, "0044-03-15 12:00:00 BC", "\"-0043-03-15T12:00:00Z\"")]
    [InlineData("double", 790, -1, "$92,233,720,368,547,758.07", "9.223372036854776E16")]
    [InlineData("connect", 1083, 6, "00:00:00.001", "1")]
    [InlineData("micros", 1114, 0, "1970-01-01 00:00:01", "1000000")]
    [InlineData("hex", 17, -1, "\\xDEADBEEF", "\"deadbeef\"")]
    [InlineData("url", 17, -1, "\\xfbefff01", "\"--__AQ==\"")]
    [InlineData("span", 1186, -1, "1 year 2 mons 3 days 04:05:06.789", "\"P1Y2M3DT4H5M6.789S\"")]
    [InlineData("span", 1186, -1, "-00:00:00.5", "\"P0Y0M0DT0H0M-0.5S\"")]
    [InlineData("money", 790, -1, "$12.34", "\"12.3400\"")]
    [InlineData("money0", 790, -1, "-$12.50", "\"-13\"")]
    public void Options_change_what_is_written(string option, int oid, int modifier, string text, string json)
    {
        var values = option switch
        {
            "decimals" => new ValueOptions { Decimals = DecimalForm.Precise },
            "double" => new ValueOptions { Decimals = DecimalForm.FloatingPoint },
            "iso" => new ValueOptions { Times = TimeForm.IsoString },
            "nanos" => new ValueOptions { Times = TimeForm.Nanoseconds },
            "connect" => new ValueOptions { Times = TimeForm.Connect },
            "micros" => new ValueOptions { Times = TimeForm.Microseconds },
            "hex" => new ValueOptions { Binary = BinaryForm.Hex },
            "url" => new ValueOptions { Binary = BinaryForm.Base64Url },
            "span" => new ValueOptions { Intervals = IntervalForm.Text },
            "money" => new ValueOptions { MoneyDigits = 4 },
            "money0" => new ValueOptions { MoneyDigits = 0 },
            _ => throw new ArgumentOutOfRangeException(nameof(option)),
        };
        Assert.Equal(json, Write(Column((uint)oid, modifier), text, values));
    }

    [Theory]
    [InlineData("", "{}")]
    [InlineData("\"a\"=>\"1\", \"b\"=>NULL", "{\"a\":\"1\",\"b\":null}")]
    [InlineData("\"q\\\"\"=>\"x, y\", \"\"=>\"\\\\\"", "{\"q\\\"\":\"x, y\",\"\":\"\\\\\"}")]
    public void Hstore_is_an_object_or_its_text(string text, string json)
    {
        var column = Column(99999, -1) with { TypeName = "public.hstore" };
        Assert.Equal(json, Write(column, text, new ValueOptions { Hstore = HstoreForm.Map }));
        Assert.Equal(json, JsonSerializer.Deserialize<string>(Write(column, text)));
    }

    [Theory]
    [InlineData("public.geometry(Point,4326)", "0101000020E6100000000000000000F03F0000000000000040", "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==\",\"srid\":4326,\"extensions\":null}")]
    [InlineData("geometry", "0020000001000010E63FF00000000000004000000000000000", "{\"wkb\":\"ACAAAAEAABDmP/AAAAAAAABAAAAAAAAAAA==\",\"srid\":4326,\"extensions\":null}")]
    [InlineData("geometry", "0101000000000000000000F03F0000000000000040", "{\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAABA\",\"srid\":null,\"extensions\":null}")]
    [InlineData("gis.geography", "0101000020E6100000000000000000F03F0000000000000040", "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==\",\"srid\":4326}")]
    [InlineData("geometry", "POINT(1 2)", "\"POINT(1 2)\"")]
    [InlineData("geometry", "0101000020E610", "\"0101000020E610\"")]
    [InlineData("vector(3)", "[1,2.5,-3e-05]", "[1.0,2.5,-3.0E-5]")]
    [InlineData("public.halfvec", "[-0]", "[-0.0]")]
    [InlineData("vector", "[1,]", "\"[1,]\"")]
    [InlineData("vector", "[x]", "\"[x]\"")]
    [InlineData("sparsevec(5)", "{1:1.5,3:-2}/5", "{\"dimensions\":5,\"vector\":[[1,1.5],[3,-2.0]]}")]
    [InlineData("sparsevec", "{}/3", "{\"dimensions\":3,\"vector\":[]}")]
    [InlineData("sparsevec", "{1:1.5,}/3", "\"{1:1.5,}/3\"")]
    [InlineData("sparsevec", "{1}/3", "\"{1}/3\"")]
    [InlineData("public.cube", "(1, 2)", "\"(1, 2)\"")]
    public void Types_of_extensions_are_known_by_name(string type, string text, string json) =>
        Assert.Equal(json, Write(Column(99999, -1) with { TypeName = type }, text));

    [Theory]
    [InlineData("1", "1.0")]
    [InlineData("-0", "-0.0")]
    [InlineData("0.5", "0.5")]
    [InlineData("0.001", "0.001")]
    [InlineData("0.00123", "0.00123")]
    [InlineData("0.00099", "9.9E-4")]
    [InlineData("0.0001", "1.0E-4")]
    [InlineData("1e-05", "1.0E-5")]
    [InlineData("9999999", "9999999.0")]
    [InlineData("-1234567.5", "-1234567.5")]
    [InlineData("1200", "1200.0")]
    [InlineData("10000000", "1.0E7")]
    [InlineData("123456789", "1.23456789E8")]
    [InlineData("123456789.25", "1.2345678925E8")]
    [InlineData("1e+300", "1.0E300")]
    [InlineData("1.7976931348623157e+308", "1.7976931348623157E308")]
    [InlineData("0.010", "0.01")]
    public void Floats_have_the_notation_of_debezium(string text, string json) => Assert.Equal(json, Write(Column(701, -1), text));

    [Fact]
    public void Any_float_comes_back_equal() =>
        Gen.Double.Where(double.IsFinite).Sample(value => BitConverter.DoubleToInt64Bits(
            JsonDocument.Parse(Write(Column(701, -1), value.ToString("R", System.Globalization.CultureInfo.InvariantCulture))).RootElement.GetDouble()) == BitConverter.DoubleToInt64Bits(value));

    [Theory]
    [InlineData(1082, "2024-02-29", "{\"year\":2024,\"month\":2,\"day\":29,\"specialValue\":null}")]
    [InlineData(1082, "-infinity", "{\"year\":null,\"month\":null,\"day\":null,\"specialValue\":\"NEGATIVE_INFINITY\"}")]
    [InlineData(1083, "24:00:00", "{\"hour\":24,\"minute\":0,\"second\":0,\"nanos\":0,\"precision\":6}")]
    [InlineData(1266, "12:34:56.789-05:30", "{\"hour\":12,\"minute\":34,\"second\":56,\"nanos\":789000000,\"offsetSeconds\":-19800,\"precision\":6}")]
    [InlineData(1186, "-1 mons +2 days -03:04:05.678", "{\"years\":0,\"months\":-1,\"days\":2,\"hours\":-3,\"minutes\":-4,\"seconds\":-5,\"nanos\":-678000000,\"precision\":6}")]
    [InlineData(1114, "no time", "\"no time\"")]
    public void Times_may_be_objects_of_their_parts(int oid, string text, string json) =>
        Assert.Equal(json, Write(Column((uint)oid, -1), text, new ValueOptions { Times = TimeForm.Structured }));

    [Fact]
    public void Hstore_is_read_in_one_pass()
    {
        var text = string.Join(", ", Enumerable.Range(0, 200_000).Select(i => $"\"{i}\"=>\"\\\"{i}\""));
        var json = Write(Column(99999, -1) with { TypeName = "hstore" }, text, new ValueOptions { Hstore = HstoreForm.Map });
        Assert.Equal("\"199999", JsonDocument.Parse(json).RootElement.GetProperty("199999").GetString());
    }

    [Theory]
    [InlineData("007", "\"007\"")]
    [InlineData("-01.5", "\"-01.5\"")]
    [InlineData("0.5", "0.5")]
    [InlineData("0", "0.0")]
    public void A_number_that_json_has_not_is_text(string text, string json) => Assert.Equal(json, Write(Column(701, -1), text));

    [Fact]
    public void The_placeholder_has_the_columns_form()
    {
        var values = new ValueOptions { Unavailable = "gone" };
        Assert.Equal("\"gone\"", Write(Column(25, -1), Rows.Unchanged, values));
        Assert.Equal("[\"gone\"]", Write(Array(25), Rows.Unchanged, values));
        Assert.Equal("\"Z29uZQ==\"", Write(Column(17, -1), Rows.Unchanged, values));
        Assert.Equal("\"gone\"", Write(Column(17, -1), Rows.Unchanged, values with { Binary = BinaryForm.Hex }));
        Assert.Equal("[103,111,110,101]", Write(Array(20), Rows.Unchanged, values));
        Assert.Equal("[103,111,110,101]", Write(Array(1082), Rows.Unchanged, values));
        Assert.Equal("[\"gone\"]", Write(Array(1082), Rows.Unchanged, values with { Times = TimeForm.IsoString }));
        Assert.Equal("[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]", Write(Array(2950), Rows.Unchanged));
        var pairs = Column(99999, -1) with { TypeName = "hstore" };
        Assert.Equal("{\"gone\":\"gone\"}", Write(pairs, Rows.Unchanged, values with { Hstore = HstoreForm.Map }));
        Assert.Equal("{\"gone\":\"gone\"}", JsonSerializer.Deserialize<string>(Write(pairs, Rows.Unchanged, values)));
    }

    [Fact]
    public void Any_bytes_in_any_form_give_valid_json()
    {
        var oid = Gen.OneOf<uint>(600, 1186, 1266, 1560, 1562, 1700, 790, 17, 1082, 1083, 1114);
        var text = Gen.OneOf(
            Gen.Byte.Array[0, 40],
            Gen.Int[0, 30].SelectMany(n => Gen.OneOf("0123456789-+:. ,(){}\"\\NULabyemons".ToCharArray()).Array[n]).Select(c => Encoding.ASCII.GetBytes(c)));
        var options = Gen.Select(
            Gen.Enum<DecimalForm>(), Gen.Enum<TimeForm>(), Gen.Enum<BinaryForm>(), Gen.Enum<IntervalForm>(),
            (d, t, b, i) => new ValueOptions { Decimals = d, Times = t, Binary = b, Intervals = i });
        Gen.Select(oid, Gen.Bool, text, options).Sample((type, isArray, bytes, values) =>
        {
            var column = isArray ? Array(type) : Column(type, -1);
            using var parsed = JsonDocument.Parse(new JsonRowFormatter().ToJson(Table(column), Rows.Image([bytes]), values));
        });
    }

    [Fact]
    public void Any_array_of_text_comes_back_equal()
    {
        var item = Gen.OneOf(Gen.Const((string?)null), Gen.String[Gen.OneOf(Gen.Char['a', 'c'], Gen.OneOf('"', '\\', ',', '{', '}', ' ', 'é')), 0, 8]!);
        item.Array[0, 8].Sample(items =>
        {
            var text = $"{{{string.Join(',', items.Select(i => i is null ? "NULL" : $"\"{i.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\""))}}}";
            return items.SequenceEqual(JsonSerializer.Deserialize<string?[]>(Write(Array(25), text))!);
        });
    }

    private static string Write(ColumnSchema column, string text, ValueOptions? values = null)
    {
        var json = new JsonRowFormatter().ToJson(Table(column), Rows.Image(text), values ?? ValueOptions.Default);
        return json["{\"c\":".Length..^1];
    }

    private static TableSchema Table(ColumnSchema column) => new()
    {
        TableId = 7, Version = 1, Schema = "public", Name = "t", Columns = [column], Key = [],
    };

    private static ColumnSchema Column(uint oid, int modifier) => new() { Name = "c", TypeOid = oid, TypeModifier = modifier, TypeName = "t" };

    private static ColumnSchema Array(uint element, char delimiter = ',') => Column(1007, -1) with { Element = new ElementSchema(element, -1, "t", delimiter) };
}
