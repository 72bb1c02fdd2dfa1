using System.Security.Cryptography;
using System.Text;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Converts text to a form that PostgreSQL can store.</summary>
internal static class StoredText
{
    // A B-tree entry may take at most a third of a page (2704 bytes). The rest of the entry is a few bytes.
    private const int LongestKey = 2000;
    private const int KeptOfLongKey = 256;
    private const int LongestError = 8192;

    /// <summary>
    /// Returns a canonical key in the form in which it is stored: unchanged, or, when it is too long for an index, its beginning and its
    /// SHA-256 hash. Different keys have different forms as far as SHA-256 is collision-free: no canonical key contains <c>\#</c>.
    /// </summary>
    public static string Key(string key)
    {
        // A UTF-16 unit takes at most three bytes, so most keys need not be counted.
        if (key.Length <= LongestKey / 3 || Encoding.UTF8.GetByteCount(key) <= LongestKey)
            return key;
        var kept = char.IsHighSurrogate(key[KeptOfLongKey - 1]) ? KeptOfLongKey - 1 : KeptOfLongKey;
        return $"{key.AsSpan(0, kept)}\\#{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))}";
    }

    /// <summary>Whether a stored key is only the beginning and the hash of a longer one.</summary>
    public static bool IsShortened(string stored) => stored.Contains("\\#", StringComparison.Ordinal);

    /// <summary>
    /// Cleans a message from outside: removes NUL and broken surrogates, which PostgreSQL cannot store, and limits the length.
    /// </summary>
    public static string Words(string text)
    {
        var cut = text.Length > LongestError ? string.Concat(text.AsSpan(0, LongestError), "…") : text;
        return Holdable(cut);
    }

    /// <summary>Replaces NUL and broken surrogates by U+FFFD.</summary>
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
