using CdcOrleans.Grains.Interfaces.Calls;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Partitions;

/// <summary>One of the fixed partitions of a source. Key: <c>source/partition</c>.</summary>
[Alias("cdc.IPartitionGrain")]
public interface IPartitionGrain : IGrainWithStringKey
{
    /// <summary>Does nothing: a call makes sure that the partition runs.</summary>
    [Alias("Start"), ResponseTimeout(CallPatience.Brief)]
    ValueTask Start();

    /// <summary>A reader begins to send, or begins again. The sequence numbers of its batches start again at 1.</summary>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Open"), ResponseTimeout(CallPatience.Brief)]
    ValueTask<PartitionOpened> Open(long epoch);

    /// <summary>Accepts a batch into the queues of the partition. Returns when it is accepted, not when it is finished.</summary>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    /// <exception cref="BatchOutOfSequenceException">
    /// The reader has not opened this activation, or batches before this one are missing. The reader must open the partition and continue
    /// from its answer.
    /// </exception>
    [Alias("Receive")]
    ValueTask Receive(ChangeBatch batch);

    /// <summary>
    /// Removes the rows of tables from memory. The reader must make sure that no change of these tables is being processed, and that the
    /// store has already deleted the rows.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <param name="tables">Numbers of the tables in the schema store.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Forget"), ResponseTimeout(CallPatience.Brief)]
    ValueTask Forget(long epoch, int[] tables);

    /// <summary>
    /// The source was reset. This activation ends with everything that it has in memory, and the next one starts from the store.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Reset"), ResponseTimeout(CallPatience.Brief)]
    ValueTask Reset(long epoch);
}

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

/// <summary>A batch came to an activation that the reader has not opened, or batches are missing before it.</summary>
[GenerateSerializer, Alias("cdc.BatchOutOfSequenceException")]
public sealed class BatchOutOfSequenceException(string message) : Exception(message);
