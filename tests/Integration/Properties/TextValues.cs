using System.Globalization;
using System.Security;
using System.Text;

namespace CdcOrleans.Integration.Properties;

/// <summary>Random text and what is written as text: documents, sets, addresses.</summary>
internal static class TextValues
{
    private static readonly string[] Whole =
        ["", " ", "NULL", "null", "\\N", "\\", ",", "\"", "'", "{}", "()", "a,b\\c", "line\nbreak\r\n", "\t", "ſ", "İ", "日本語", "\u0001", "💚", "é", "e\u0301", "trailing  "];

    private static readonly string[] Pieces =
        ["a", "B", "z", "0", "9", " ", ",", "\\", "\"", "'", "\n", "\t", "{", "}", "(", ")", ";", "/", "%", "=", ">", "ä", "ß", "Ω", "Ж", "中", "😀", "\u200b", "\u001f"];

    public static string Short(Dice dice) => dice.Chance(25) ? dice.Pick(Whole) : dice.Join("", 1, 20, d => d.Pick(Pieces));

    /// <summary>Text of at most so many characters as PostgreSQL counts them.</summary>
    public static string AtMost(Dice dice, int characters)
    {
        var text = new StringBuilder();
        foreach (var rune in Short(dice).EnumerateRunes().Take(characters))
            text.Append(rune);
        return text.ToString();
    }

    /// <summary>Now and then large enough to be stored out of line, compressed or not.</summary>
    public static string Any(Dice dice) => dice.Chance(92) ? Short(dice) : Large(dice);

    public static string Large(Dice dice) => dice.Below(3) switch
    {
        0 => new StringBuilder().Insert(0, Short(dice) + "x", dice.Between(500, 1500)).ToString(),
        1 => dice.Join("", 150, 900, d => d.Bits().ToString("x16", CultureInfo.InvariantCulture)),
        _ => dice.Join("", 800, 2500, d => d.Pick(Pieces)),
    };

    /// <summary>For keys: short, but for one in thirty, which an index takes only compressed and the store only hashed.</summary>
    public static string ForKey(Dice dice) => dice.Chance(97) ? Short(dice) : $"{Short(dice)}{new string('k', dice.Between(1500, 6000))}";

    public static string Word(Dice dice) => dice.Join("", 1, 8, d => d.Pick("a", "b", "c", "X", "Y", "1", "2", "_"));

    public static string Bytes(Dice dice, int least, int most) =>
        "\\x" + string.Concat(Enumerable.Range(0, dice.Between(least, most)).Select(_ => ((byte)dice.Bits()).ToString("x2", CultureInfo.InvariantCulture)));

    public static string Bytes(Dice dice) => dice.Chance(92) ? Bytes(dice, 0, 24) : Bytes(dice, 2500, 9000);

    public static string Uuid(Dice dice) => $"{dice.Bits():x16}{dice.Bits():x16}";

    public static string Xml(Dice dice) =>
        $"<a b=\"{XmlText(dice)}\">{dice.Join("", 0, 3, d => $"<c>{XmlText(d)}</c><!-- {Word(d)} -->")}</a>";

    public static string Json(Dice dice) => Json(dice, 3, dice.Chance(5));

    public static string JsonKey(Dice dice) => Json(dice, 1, false);

    public static string JsonPath(Dice dice) => dice.Pick("$", "$.a[*].\"b c\"", "$[*] ? (@ > 1)", "strict $.x.y", "lax $.** ? (@.name like_regex \"^a\")");

    public static string SearchVector(Dice dice) =>
        dice.Join(" ", 0, 6, d => $"'{Lexeme(d)}'{(d.Chance(50) ? $":{d.Between(1, 16000)}{d.Pick("", "A", "B", "C")}" : "")}");

    public static string SearchQuery(Dice dice) => dice.Join(dice.Pick(" & ", " | ", " <-> ", " <3> "), 1, 4, d => d.Below(4) switch
    {
        0 => $"!'{Lexeme(d)}'",
        1 => $"'{Lexeme(d)}':*AB",
        2 => $"('{Lexeme(d)}' | '{Lexeme(d)}')",
        _ => $"'{Lexeme(d)}'",
    });

    public static string Hstore(Dice dice) =>
        dice.Join(", ", 0, 5, d => $"{SqlText.Quoted(Short(d))}=>{(d.Chance(20) ? "NULL" : SqlText.Quoted(Short(d)))}");

    public static string Ltree(Dice dice) => dice.Join(".", 0, 6, Word);

    public static string Inet(Dice dice) => dice.Below(3) switch
    {
        0 => $"{V4(dice)}/{dice.Between(0, 32)}",
        1 => V4(dice),
        _ => dice.Chance(50) ? $"{V6(dice)}/{dice.Between(0, 128)}" : V6(dice),
    };

    public static string Cidr(Dice dice) => dice.Below(3) switch
    {
        0 => $"{dice.Below(256)}.{dice.Below(256)}.0.0/{dice.Between(16, 32)}",
        1 => $"2001:db8:{dice.Below(65536):x}::/{dice.Between(48, 128)}",
        _ => $"{V4(dice)}/32",
    };

    public static string Mac(Dice dice, int bytes) =>
        string.Join(':', Enumerable.Range(0, bytes).Select(_ => ((byte)dice.Bits()).ToString("x2", CultureInfo.InvariantCulture)));

    private static string V4(Dice dice) => string.Join('.', Enumerable.Range(0, 4).Select(_ => dice.Below(256)));

    private static string V6(Dice dice) => dice.Chance(20)
        ? dice.Pick("::", "::1", "::ffff:1.2.3.4", "2001:db8::8a2e:370:7334")
        : string.Join(':', Enumerable.Range(0, 8).Select(_ => dice.Below(65536).ToString("x", CultureInfo.InvariantCulture)));

    private static string Lexeme(Dice dice) => dice.Join("", 1, 6, d => d.Pick("a", "b", "Z", "0", " ", "''", "é", "日", "-", ":"));

    // XML takes no control characters but tab and line ends.
    private static string XmlText(Dice dice) =>
        SecurityElement.Escape(new string([.. Short(dice).Where(c => c >= ' ')])).Replace("\u200b", "", StringComparison.Ordinal);

    private static string Json(Dice dice, int depth, bool large) => (depth == 0 ? dice.Below(5) : dice.Below(7)) switch
    {
        0 => dice.Pick("null", "true", "false"),
        1 => dice.Pick("0", "-0", "-1.50", "1e3", "12345678901234567890.1234567890", "0.1"),
        2 => NumberValues.Text(dice.Between(-1000, 1000)),
        3 or 4 => JsonString(large ? Large(dice) : Short(dice)),
        5 => $"[{dice.Join(dice.Pick(",", " , "), 0, 4, d => Json(d, depth - 1, large))}]",
        _ => $"{{{dice.Join(", ", 0, 4, d => $"{JsonString(Short(d))}:{d.Pick("", " ")}{Json(d, depth - 1, large)}")}}}",
    };

    private static string JsonString(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var character in text)
        {
            if (character is '"' or '\\')
                quoted.Append('\\').Append(character);
            else if (character < ' ')
                quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}");
            else
                quoted.Append(character);
        }

        return quoted.Append('"').ToString();
    }
}
