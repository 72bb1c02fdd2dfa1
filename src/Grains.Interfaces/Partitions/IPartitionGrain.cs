using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Interfaces.Partitions;

/// <summary>One of the fixed partitions of a source. Key: <c>source/partition</c>.</summary>
[Alias("cdc.IPartitionGrain")]
public interface IPartitionGrain : IGrainWithStringKey
{
    /// <summary>Opens the partition for a reader. The sequence numbers of its batches begin at 1 again.</summary>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Open")]
    ValueTask<PartitionOpened> Open(long epoch);

    /// <summary>Accepts a batch into the queues of the partition. Returns when it is accepted, not when it is finished.</summary>
    /// <exception cref="StaleReaderException">The batch's epoch is not the one that opened the partition.</exception>
    /// <exception cref="BatchOutOfSequenceException">
    /// Batches before this one are missing. The reader must open the partition again and continue from its answer.
    /// </exception>
    [Alias("Receive")]
    ValueTask Receive(ChangeBatch batch);

    /// <summary>Returns the last applied state of an entity; null when nothing is known of it.</summary>
    [Alias("ReadEntity")]
    ValueTask<EntityView?> ReadEntity(EntityKey entity);

    /// <summary>Returns the stored row of an entity. The reader uses it to complete another row.</summary>
    /// <param name="entity">The entity.</param>
    /// <param name="epoch">Epoch of the reader that asks.</param>
    /// <param name="taken">The last version that was sent to the partition or is durable there, as far as the reader knows.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("ReadRow")]
    ValueTask<HeldRow> ReadRow(EntityKey entity, long epoch, ChangeVersion taken);

    /// <summary>
    /// Removes the rows of tables from memory. The reader must make sure that no change of these tables is being processed, and that the
    /// store has already deleted the rows.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <param name="tables">Numbers of the tables in the schema store.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Forget")]
    ValueTask Forget(long epoch, int[] tables);

    /// <summary>
    /// The source was reset. This activation ends with everything that it has in memory, and the next one starts from the store.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("BeginAnew")]
    ValueTask BeginAnew(long epoch);
}

/// <summary>The stored row of an entity.</summary>
/// <param name="Settled">Whether all changes of the entity that were sent are applied. If not, the reader asks again.</param>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Schema of <paramref name="Row"/>; null when no row is stored.</param>
/// <param name="Row">The row; absent when none is stored.</param>
/// <param name="IsBehind">Whether the partition lacks batches that the reader sent. The reader must then open it again first.</param>
[GenerateSerializer, Immutable, Alias("cdc.HeldRow")]
public sealed record HeldRow(
    [property: Id(0)] bool Settled, [property: Id(1)] ChangeVersion Version = default, [property: Id(2)] TableSchema? Table = null, [property: Id(3)] RowImage Row = default,
    [property: Id(4)] bool IsBehind = false);

/// <summary>A partition's answer to a reader that opens it.</summary>
/// <param name="Generation">Generation of the activation.</param>
/// <param name="Accepted">Everything at or before this version was already accepted.</param>
/// <param name="Progress">Durable progress.</param>
[GenerateSerializer, Immutable, Alias("cdc.PartitionOpened")]
public sealed record PartitionOpened(
    [property: Id(0)] long Generation, [property: Id(1)] ChangeVersion Accepted, [property: Id(2)] ChangeVersion Progress);

/// <summary>A newer reader of the source exists.</summary>
[GenerateSerializer, Alias("cdc.StaleReaderException")]
public sealed class StaleReaderException(string message) : Exception(message);

/// <summary>Batches are missing before the one that was sent.</summary>
[GenerateSerializer, Alias("cdc.BatchOutOfSequenceException")]
public sealed class BatchOutOfSequenceException(string message) : Exception(message);
