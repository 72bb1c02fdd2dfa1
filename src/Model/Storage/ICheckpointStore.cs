using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Model.Storage;

/// <summary>The durable state of the pipeline in the control database. Safe for concurrent use.</summary>
public interface ICheckpointStore
{
    /// <summary>
    /// Raises the epoch of the source when a reader starts, and returns it. From then on a reader of a lower epoch is stale.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="owner">Name of the reader, for operators.</param>
    /// <param name="after">The current epoch must be this one; null: any epoch.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="StaleOwnerException">The source's epoch is not <paramref name="after"/> any more.</exception>
    Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation);

    /// <summary>
    /// Fixes the number of partitions of a source at its first start.
    /// </summary>
    /// <exception cref="InvalidOperationException">The source already runs with another number of partitions.</exception>
    Task FixPartitions(string source, int partitions, CancellationToken cancellation);

    /// <summary>Raises the generation of the partition when an activation starts, and returns what is durable of the partition.</summary>
    Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation);

    /// <summary>
    /// Makes a checkpoint durable in one transaction, or refuses it completely. A very large one is written in several transactions, each
    /// of which is refused if its owner is stale. The progress moves in the last one, and dead letters are written in the first ones; so if
    /// it ends in between, nothing is lost, and it can be repeated.
    /// </summary>
    /// <returns>Entities whose row was left out because it is too large to be stored; their states have only the version. Usually none.</returns>
    /// <exception cref="StaleOwnerException">The epoch or a generation is not the store's current one.</exception>
    Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation);

    /// <summary>
    /// Deletes the states of a table up to a version, because it was truncated. The caller must make sure that everything before is
    /// durable.
    /// Calling it again is harmless.
    /// </summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation);

    /// <summary>
    /// Marks the stored rows of a table as doubtful (<see cref="EntityState.IsDoubtful"/>), because changes of it are missing: they have no
    /// version any more. Deletes its delete markers. The caller must make sure that nobody writes states of it. Calling it again is harmless.
    /// </summary>
    /// <exception cref="StaleOwnerException">The epoch is not the store's current one.</exception>
    Task Doubt(string source, long epoch, int tableId, CancellationToken cancellation);

    /// <summary>
    /// Reads states in one round trip. The result has the order of <paramref name="keys"/>, and null where nothing is stored. A state that
    /// cannot be read has its version and no row (<see cref="RowAbsence.Unreadable"/>).
    /// </summary>
    Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation);

    /// <summary>
    /// Reads, in one round trip, states whose rows are not larger than a limit, and the sizes of the rows of the others. The result has the
    /// order of <paramref name="keys"/>.
    /// </summary>
    Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation);
}

/// <summary>A state that was found, or only the size of its row.</summary>
/// <param name="Bytes">Size of its row; 0 when there is no row, or no state.</param>
/// <param name="State">The state; null when its row is larger than the limit, or when there is no state.</param>
public readonly record struct FoundState(long Bytes, EntityState? State);

/// <summary>The key of a stored state.</summary>
/// <param name="TableId">Number of the table in the schema store.</param>
/// <param name="Key">Canonical key text.</param>
public readonly record struct StateKey(int TableId, string Key);

/// <summary>What the store has of a partition when an activation of it starts.</summary>
/// <param name="Generation">Generation of the activation, higher than all before.</param>
/// <param name="Progress">The progress: every change at or before it is finished, so it is durable for every route.</param>
/// <param name="High">
/// The high mark: no stored state of this partition has a newer version. It is at least <paramref name="Progress"/>.
/// </param>
public sealed record PartitionClaim(long Generation, ChangeVersion Progress, ChangeVersion High);

/// <summary>A checkpoint: what is made durable together for the partitions of one source on one silo.</summary>
/// <param name="Source">The source.</param>
/// <param name="Epoch">Epoch of the reader that sent the changes.</param>
/// <param name="Partitions">The partitions; each at most once.</param>
public sealed record Checkpoint(string Source, long Epoch, IReadOnlyList<PartitionCheckpoint> Partitions);

/// <summary>The part of one partition in a checkpoint.</summary>
public sealed record PartitionCheckpoint
{
    /// <summary>The partition.</summary>
    public required int Partition { get; init; }

    /// <summary>Generation of the activation that writes the checkpoint.</summary>
    public required long Generation { get; init; }

    /// <summary>The progress: everything up to this version is finished.</summary>
    public required ChangeVersion Progress { get; init; }

    /// <summary>The high mark: the newest version among all states that this partition ever wrote.</summary>
    public required ChangeVersion High { get; init; }

    /// <summary>The newest state of each entity that changed since the last checkpoint.</summary>
    public required IReadOnlyCollection<KeyValuePair<EntityKey, EntityState>> States { get; init; }

    /// <summary>Dead letters since the last checkpoint.</summary>
    public required IReadOnlyCollection<DeadLetter> DeadLetters { get; init; }

    /// <summary>Events that were parked since the last checkpoint, in order.</summary>
    public IReadOnlyCollection<ParkedEvent> Parked { get; init; } = [];

    /// <summary>Parked events that were delivered or given up on since the last checkpoint. They may be among <see cref="Parked"/>.</summary>
    public IReadOnlyCollection<ParkedEventId> Unparked { get; init; } = [];

    /// <summary>What became of dead letters that were delivered again. Their events are among <see cref="Unparked"/>.</summary>
    public IReadOnlyCollection<LetterOutcome> Letters { get; init; } = [];

    /// <summary>Entities whose parked events changed since the last checkpoint.</summary>
    public IReadOnlyCollection<ParkedEntityState> ParkedEntities { get; init; } = [];

    /// <summary>Changes since the last checkpoint of tables that have a journal. A change may be in it that the journal has already.</summary>
    public IReadOnlyCollection<JournalRow> Journal { get; init; } = [];
}

/// <summary>An event that its sink refused for good, with all its data.</summary>
public sealed record DeadLetter
{
    /// <summary>The entity.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>Version of its change.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>The sink that refused it.</summary>
    public required string Sink { get; init; }

    /// <summary>The topic of the event.</summary>
    public required string Topic { get; init; }

    /// <summary>The event's key; null for none.</summary>
    public required byte[]? Key { get; init; }

    /// <summary>The event's value; null for a tombstone.</summary>
    public required byte[]? Value { get; init; }

    /// <summary>The error, in the words of the sink.</summary>
    public required string Error { get; init; }

    /// <summary>Whether there is an event. No format could write the change of a letter without one.</summary>
    public bool HasEvent { get; init; } = true;

    /// <summary>Headers of the event; null for none.</summary>
    public IReadOnlyList<KeyValuePair<string, byte[]>>? Headers { get; init; }

    /// <summary>Number of the table schema that the event follows; 0 without an event.</summary>
    public int SchemaVersion { get; init; }

    /// <summary>Why the event was sent.</summary>
    public EventOrigin Origin { get; init; }

    /// <summary>Number of the event among those of its change.</summary>
    public int Part { get; init; }

    /// <summary>How often it was tried.</summary>
    public int Attempts { get; init; } = 1;

    /// <summary>When it was tried first; null when that was when it was refused.</summary>
    public DateTimeOffset? FirstFailedAt { get; init; }
}

/// <summary>The caller is stale: a newer reader or a newer activation exists. Nothing was written.</summary>
public sealed class StaleOwnerException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Who is stale.</param>
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
