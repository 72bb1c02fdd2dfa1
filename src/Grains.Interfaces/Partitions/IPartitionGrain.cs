using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Interfaces.Partitions;

/// <summary>One of a source's fixed slices. Key: <c>source/partition</c>.</summary>
[Alias("cdc.IPartitionGrain")]
public interface IPartitionGrain : IGrainWithStringKey
{
    /// <summary>Does nothing: a call makes sure that the partition runs.</summary>
    [Alias("Start")]
    ValueTask Start();

    /// <summary>A reader begins (again) to send: sequences start anew at 1.</summary>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Open")]
    ValueTask<PartitionOpened> Open(long epoch);

    /// <summary>Takes a batch into the partition's queues; returns when it is accepted, not when it is finished.</summary>
    /// <exception cref="StaleReaderException">The batch's epoch is not the one that opened the partition.</exception>
    /// <exception cref="BatchOutOfSequenceException">Batches before this one are missing: open again and send from its answer.</exception>
    [Alias("Receive")]
    ValueTask Receive(ChangeBatch batch);

    /// <summary>
    /// Lets go of what is held of tables. The reader has made sure that nothing of them is under way, and that the store has forgotten
    /// what is to be forgotten.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <param name="tables">The tables, by their numbers in the store.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Forget")]
    ValueTask Forget(long epoch, int[] tables);

    /// <summary>The source begins anew: this activation ends, with whatever it holds, and the next one starts from the store.</summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("BeginAnew")]
    ValueTask BeginAnew(long epoch);
}

/// <summary>A partition's answer to a reader that opens it.</summary>
/// <param name="Generation">Generation of the activation.</param>
/// <param name="Accepted">It already has everything at or before this version.</param>
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
