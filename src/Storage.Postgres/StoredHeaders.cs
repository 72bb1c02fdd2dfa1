using System.Text.Json;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Converts the headers of an event to text and back: a JSON array of names and values in turn, the values in base64.</summary>
internal static class StoredHeaders
{
    /// <summary>Returns the text; null for no headers.</summary>
    public static string? Write(IReadOnlyList<KeyValuePair<string, byte[]>>? headers)
    {
        if (headers is not { Count: > 0 })
            return null;
        var parts = new List<string>(2 * headers.Count);
        foreach (var (name, value) in headers)
        {
            parts.Add(name);
            parts.Add(Convert.ToBase64String(value));
        }

        return JsonSerializer.Serialize(parts);
    }

    /// <summary>Returns the headers of a text; null for null.</summary>
    public static IReadOnlyList<KeyValuePair<string, byte[]>>? Read(string? text)
    {
        if (text is null)
            return null;
        var parts = JsonSerializer.Deserialize<string[]>(text)!;
        var headers = new List<KeyValuePair<string, byte[]>>(parts.Length / 2);
        for (var i = 0; i + 1 < parts.Length; i += 2)
            headers.Add(new(parts[i], Convert.FromBase64String(parts[i + 1])));
        return headers;
    }
}
