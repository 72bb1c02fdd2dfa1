using System.Globalization;
using System.Text;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Finds out, and says, who in a refused checkpoint is stale.</summary>
internal static class StaleOwners
{
    /// <summary>The refusal in words; null when everything in the checkpoint is current.</summary>
    /// <param name="checkpoint">What was refused.</param>
    /// <param name="epoch">The store's epoch of the source; null where it never had a reader.</param>
    /// <param name="generations">The store's generations by partition.</param>
    public static StaleOwnerException? Find(Checkpoint checkpoint, long? epoch, IReadOnlyDictionary<int, long> generations)
    {
        var epochIsStale = epoch != checkpoint.Epoch;
        var stale = checkpoint.Partitions
            .Where(p => !generations.TryGetValue(p.Partition, out var current) || current != p.Generation)
            .OrderBy(p => p.Partition)
            .ToList();
        if (!epochIsStale && stale.Count == 0)
            return null;

        var words = new StringBuilder($"A checkpoint of source '{checkpoint.Source}' was refused whole:");
        if (epochIsStale)
            words.Append(CultureInfo.InvariantCulture, $" it is of epoch {checkpoint.Epoch} and the store's is {Named(epoch)};");
        foreach (var partition in stale)
        {
            long? current = generations.TryGetValue(partition.Partition, out var found) ? found : null;
            words.Append(CultureInfo.InvariantCulture, $" partition {partition.Partition} is of generation {partition.Generation} and the store's is {Named(current)};");
        }

        words.Length--;
        return new StaleOwnerException(words.Append('.').ToString(), epochIsStale, [.. stale.Select(p => p.Partition)]);
    }

    private static string Named(long? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "none";
}
