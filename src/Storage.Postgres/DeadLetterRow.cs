using System.Runtime.InteropServices;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// A dead letter, and its number among the dead letters with the same identity (entity, version, sink, topic, tombstone or not).
/// </summary>
internal readonly record struct DeadLetterRow(DeadLetter Letter, int Occurrence)
{
    public static IEnumerable<DeadLetterRow> From(Checkpoint checkpoint)
    {
        var seen = new Dictionary<(EntityKey, ChangeVersion, string, string, bool), int>();
        foreach (var partition in checkpoint.Partitions)
        {
            foreach (var letter in partition.DeadLetters)
            {
                ref var count = ref CollectionsMarshal.GetValueRefOrAddDefault(
                    seen, (letter.Entity, letter.Version, letter.Sink, letter.Topic, letter.Value is null), out _);
                yield return new DeadLetterRow(letter, count++);
            }
        }
    }
}
