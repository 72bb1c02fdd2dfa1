namespace CdcOrleans.Storage.Postgres;

/// <summary>Values of enumerations as they are stored: their names in small letters. The table lists the ones that are allowed.</summary>
internal static class StoredWords
{
    public static string Of<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    public static T Read<T>(string word)
        where T : struct, Enum => Enum.Parse<T>(word, ignoreCase: true);
}
