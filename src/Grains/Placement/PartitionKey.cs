using System.Globalization;

namespace CdcOrleans.Grains.Placement;

/// <summary>The partition grain's key: <c>source/partition</c>.</summary>
internal static class PartitionKey
{
    /// <summary>Returns the key of a partition.</summary>
    public static string For(string source, int partition) => string.Create(CultureInfo.InvariantCulture, $"{source}/{partition}");

    /// <summary>Returns source and partition of a key.</summary>
    /// <exception cref="FormatException">It is not the key of a partition.</exception>
    public static (string Source, int Partition) Parse(string key)
    {
        var slash = key.LastIndexOf('/');
        return slash > 0 && int.TryParse(key.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var partition)
            ? (key[..slash], partition)
            : throw new FormatException($"'{key}' is not a partition's key; expected source/partition.");
    }
}
