using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Model.Storage;

/// <summary>The durable side of the pipeline, in the control database. Safe for concurrent use.</summary>
public interface ICheckpointStore
{
    /// <summary>Raises the source's epoch for a reader that starts, and returns it. Whoever holds a lower one is stale from now on.</summary>
    /// <param name="source">The source.</param>
    /// <param name="owner">Who reads, for people.</param>
    /// <param name="after">The epoch it must follow; null to follow whatever there is.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="StaleOwnerException">The source's epoch is not <paramref name="after"/> any more.</exception>
    Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation);

    /// <summary>
    /// Fixes the number of partitions of a source at its first start.
    /// </summary>
    /// <exception cref="InvalidOperationException">The source already runs with another number of partitions.</exception>
    Task FixPartitions(string source, int partitions, CancellationToken cancellation);

    /// <summary>Raises the partition's generation for an activation that starts, and returns what is durable of it.</summary>
    Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation);

    /// <summary>Makes a checkpoint durable in one transaction, or refuses it whole.</summary>
    /// <exception cref="StaleOwnerException">The epoch or a generation is not the store's current one; nothing was written.</exception>
    Task Commit(Checkpoint checkpoint, CancellationToken cancellation);

    /// <summary>
    /// Forgets the states of a table up to a version: it was truncated. The caller has made sure that everything before is durable.
    /// Doing it again is harmless.
    /// </summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation);

    /// <summary>Reads states in one round trip; the answer has the order of the question, null where nothing is stored.</summary>
    Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation);
}

/// <summary>Names a stored state.</summary>
/// <param name="TableId">Number of the table in the store.</param>
/// <param name="Key">Canonical key text.</param>
public readonly record struct StateKey(int TableId, string Key);

/// <summary>What a partition finds in the store when it starts.</summary>
/// <param name="Generation">Its generation, higher than any before.</param>
/// <param name="Progress">Every change at or before it is finished: durable for every route.</param>
/// <param name="High">No stored state of this partition is newer; at least <paramref name="Progress"/>.</param>
public sealed record PartitionClaim(long Generation, ChangeVersion Progress, ChangeVersion High);

/// <summary>What one transaction makes durable: one source's partitions on one silo.</summary>
/// <param name="Source">The source.</param>
/// <param name="Epoch">Epoch of the reader whose changes are in it.</param>
/// <param name="Partitions">The partitions; each at most once.</param>
public sealed record Checkpoint(string Source, long Epoch, IReadOnlyList<PartitionCheckpoint> Partitions);

/// <summary>One partition's share of a checkpoint.</summary>
public sealed record PartitionCheckpoint
{
    /// <summary>The partition.</summary>
    public required int Partition { get; init; }

    /// <summary>Generation of the activation that offers it.</summary>
    public required long Generation { get; init; }

    /// <summary>The longest prefix of the partition's sequence that is finished.</summary>
    public required ChangeVersion Progress { get; init; }

    /// <summary>The newest version among all states ever offered by this partition.</summary>
    public required ChangeVersion High { get; init; }

    /// <summary>The newest state of each entity that changed since the last checkpoint.</summary>
    public required IReadOnlyCollection<KeyValuePair<EntityKey, EntityState>> States { get; init; }

    /// <summary>Events given up on since the last checkpoint.</summary>
    public required IReadOnlyCollection<DeadLetter> DeadLetters { get; init; }
}

/// <summary>An event that its sink refused for good, kept whole.</summary>
public sealed record DeadLetter
{
    /// <summary>The entity.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>Version of its change.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>The sink that refused it.</summary>
    public required string Sink { get; init; }

    /// <summary>Where it should have gone.</summary>
    public required string Topic { get; init; }

    /// <summary>The event's key; null for none.</summary>
    public required byte[]? Key { get; init; }

    /// <summary>The event's value; null for a tombstone.</summary>
    public required byte[]? Value { get; init; }

    /// <summary>Why, in the sink's words.</summary>
    public required string Error { get; init; }
}

/// <summary>Somebody newer owns what the caller tried to write.</summary>
public sealed class StaleOwnerException : Exception
{
    /// <summary>Says who is stale.</summary>
    /// <param name="message">In words.</param>
    /// <param name="epochIsStale">Whether the source has a newer reader.</param>
    /// <param name="partitions">Partitions that have a newer activation.</param>
    public StaleOwnerException(string message, bool epochIsStale, IReadOnlyList<int> partitions)
        : base(message)
    {
        EpochIsStale = epochIsStale;
        Partitions = partitions;
    }

    /// <summary>Whether the source has a newer reader.</summary>
    public bool EpochIsStale { get; }

    /// <summary>Partitions that have a newer activation.</summary>
    public IReadOnlyList<int> Partitions { get; }
}
