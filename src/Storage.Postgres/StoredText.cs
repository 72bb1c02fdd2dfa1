using System.Security.Cryptography;
using System.Text;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Text in the form in which PostgreSQL can hold it.</summary>
internal static class StoredText
{
    // A B-tree entry must fit into a third of a page (2704 bytes); the rest of the key is a few bytes.
    private const int LongestKey = 2000;
    private const int KeptOfLongKey = 256;
    private const int LongestError = 8192;

    /// <summary>
    /// A canonical key as it is stored: unchanged, or where it would not fit into an index its beginning and SHA-256. Injective as far
    /// as SHA-256 is: no canonical key holds <c>\#</c>.
    /// </summary>
    public static string Key(string key)
    {
        // At most three bytes for a UTF-16 unit: most keys need no count.
        if (key.Length <= LongestKey / 3 || Encoding.UTF8.GetByteCount(key) <= LongestKey)
            return key;
        var kept = char.IsHighSurrogate(key[KeptOfLongKey - 1]) ? KeptOfLongKey - 1 : KeptOfLongKey;
        return $"{key.AsSpan(0, kept)}\\#{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))}";
    }

    /// <summary>Words from outside: without NUL and broken surrogates, which PostgreSQL cannot hold, and not endless.</summary>
    public static string Words(string text)
    {
        var cut = text.Length > LongestError ? string.Concat(text.AsSpan(0, LongestError), "…") : text;
        return Holdable(cut);
    }

    /// <summary>Text without NUL and broken surrogates; both become U+FFFD.</summary>
    public static string Holdable(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\0' || char.IsSurrogate(text[i]))
                return Mended(text);
        }

        return text;
    }

    private static string Mended(string text)
    {
        var mended = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            mended.Append(rune.Value == 0 ? Rune.ReplacementChar : rune);
        return mended.ToString();
    }
}
