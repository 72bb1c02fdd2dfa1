using System.Globalization;
using System.Text;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Finds and describes the stale owners in a refused checkpoint.</summary>
internal static class StaleOwners
{
    /// <summary>Returns the description; null when everything in the checkpoint is current.</summary>
    /// <param name="checkpoint">The refused checkpoint.</param>
    /// <param name="epoch">Current epoch of the source; null when it never had a reader.</param>
    /// <param name="generations">Current generations by partition.</param>
    public static StaleOwnerException? Find(Checkpoint checkpoint, long? epoch, IReadOnlyDictionary<int, long> generations)
    {
        var epochIsStale = epoch != checkpoint.Epoch;
        var stale = checkpoint.Partitions
            .Where(p => !generations.TryGetValue(p.Partition, out var current) || current != p.Generation)
            .OrderBy(p => p.Partition)
            .ToList();
        if (!epochIsStale && stale.Count == 0)
            return null;

        var words = new StringBuilder($"A checkpoint of source '{checkpoint.Source}' was refused:");
        if (epochIsStale)
            words.Append(CultureInfo.InvariantCulture, $" it has epoch {checkpoint.Epoch}, but the current epoch is {Named(epoch)};");
        foreach (var partition in stale)
        {
            long? current = generations.TryGetValue(partition.Partition, out var found) ? found : null;
            words.Append(CultureInfo.InvariantCulture, $" partition {partition.Partition} has generation {partition.Generation}, but the current generation is {Named(current)};");
        }

        words.Length--;
        return new StaleOwnerException(words.Append('.').ToString(), epochIsStale, [.. stale.Select(p => p.Partition)]);
    }

    private static string Named(long? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "none";
}
