using CdcOrleans.Model.Storage;

namespace CdcOrleans.Storage.Postgres;

/// <summary>What is known of an entity at a sink, with its partition.</summary>
internal readonly record struct ParkedEntityRow(int Partition, ParkedEntityState State);

/// <summary>What a checkpoint changes of the parked events of some entities. It must be written in one transaction.</summary>
internal sealed class ParkedSlice
{
    /// <summary>Events that were parked.</summary>
    public List<ParkedEvent> Parked { get; } = [];

    /// <summary>Events that left.</summary>
    public List<ParkedEventId> Unparked { get; } = [];

    /// <summary>The entities.</summary>
    public List<ParkedEntityRow> Entities { get; } = [];

    /// <summary>What became of dead letters that were delivered again.</summary>
    public List<LetterOutcome> Letters { get; } = [];

    /// <summary>Number of rows.</summary>
    public int Rows => Parked.Count + Unparked.Count + Entities.Count + Letters.Count;

    /// <summary>Approximate bytes of them.</summary>
    public long Bytes { get; private set; }

    /// <summary>Adds an event that was parked.</summary>
    public void Add(ParkedEvent parked)
    {
        Parked.Add(parked);
        Bytes += parked.Size + ParkedSlices.SmallRow;
    }

    /// <summary>Adds an event that left.</summary>
    public void Add(ParkedEventId unparked)
    {
        Unparked.Add(unparked);
        Bytes += ParkedSlices.SmallRow;
    }

    /// <summary>Adds the outcome of a dead letter.</summary>
    public void Add(LetterOutcome letter)
    {
        Letters.Add(letter);
        Bytes += ParkedSlices.SmallRow + (letter.Failure?.Length ?? 0);
    }

    /// <summary>Adds an entity.</summary>
    public void Add(ParkedEntityRow entity)
    {
        Entities.Add(entity);
        Bytes += ParkedSlices.SmallRow;
    }
}

/// <summary>
/// The parked events of a checkpoint in slices. An entity's events and what is known of it at the sink are in one slice: neither is right
/// without the other after a crash. They are in the order of their keys, so a checkpoint of a stale owner and one of its successor wait
/// for each other instead of causing a deadlock.
/// </summary>
internal static class ParkedSlices
{
    /// <summary>Approximate bytes of a row without an event.</summary>
    public const long SmallRow = 500;

    /// <summary>Makes the slices.</summary>
    public static IEnumerable<ParkedSlice> Of(Checkpoint checkpoint)
    {
        if (checkpoint.Partitions.All(p => p.ParkedEntities.Count == 0))
            yield break;
        var parked = new Queue<ParkedEvent>(checkpoint.Partitions.SelectMany(p => p.Parked).OrderBy(e => e.Id));
        var unparked = new Queue<ParkedEventId>(checkpoint.Partitions.SelectMany(p => p.Unparked).Order());
        var letters = checkpoint.Partitions.SelectMany(p => p.Letters).ToDictionary(l => l.Event);
        var slice = new ParkedSlice();
        foreach (var row in checkpoint.Partitions
            .SelectMany(p => p.ParkedEntities, (p, state) => new ParkedEntityRow(p.Partition, state))
            .OrderBy(r => new ParkedEventId(r.State.Sink, r.State.Entity, default)))
        {
            slice.Add(row);
            while (parked.TryPeek(out var one) && one.Sink == row.State.Sink && one.Event.Entity == row.State.Entity)
                slice.Add(parked.Dequeue());
            while (unparked.TryPeek(out var one) && one.Sink == row.State.Sink && one.Entity == row.State.Entity)
            {
                slice.Add(unparked.Dequeue());
                if (letters.TryGetValue(one, out var letter))
                    slice.Add(letter);
            }

            if (slice.Rows < Slices.MostRows && slice.Bytes < Slices.MostBytes)
                continue;
            yield return slice;
            slice = new ParkedSlice();
        }

        if (slice.Rows > 0)
            yield return slice;
        if (parked.Count > 0 || unparked.Count > 0)
            throw new InvalidOperationException("A checkpoint has parked events without what is known of their entities.");
    }
}
