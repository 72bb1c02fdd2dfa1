using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Calls;
using CdcOrleans.Grains.Interfaces.Replays;
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
    /// <param name="version">Rows up to this version are not valid any more, also those that a backfill has read and not merged yet.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Forget"), ResponseTimeout(CallPatience.Brief)]
    ValueTask Forget(long epoch, int[] tables, ChangeVersion version);

    /// <summary>
    /// The source was reset. This activation ends with everything that it has in memory, and the next one starts from the store.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("Reset")]
    ValueTask Reset(long epoch);

    /// <summary>
    /// Delivers dead letters of the partition's entities again: their events are parked behind those of the entity at the sink. Returns when
    /// they are parked, or after some seconds: then they are parked when the sink has answered for what it has of the entity.
    /// </summary>
    /// <param name="ids">The dead letters, 100 at most.</param>
    /// <param name="what">What is sent.</param>
    /// <returns>The dead letters that stay as they are, each with the reason.</returns>
    [Alias("Redeliver")]
    ValueTask<LetterRefusal[]> Redeliver(long[] ids, RedeliverAs what);

    /// <summary>Deletes dead letters of the partition's entities. An entity that waited for the decision goes on.</summary>
    /// <returns>The dead letters that were deleted.</returns>
    [Alias("Discard")]
    ValueTask<long[]> Discard(long[] ids);

    /// <summary>Tries parked events now. Returns the number of entities, counted for each sink.</summary>
    [Alias("RetryParked")]
    ValueTask<int> RetryParked(string sink, string? table, string? key);

    /// <summary>
    /// Sends the current rows of entities to one sink, in order with their changes. Answers after a second at most; the caller asks again
    /// with the same part until it is done.
    /// </summary>
    [Alias("Replay"), ResponseTimeout(CallPatience.WithRead)]
    ValueTask<ReplayAnswer> Replay(ReplaySlice slice);

    /// <summary>
    /// Merges rows that a backfill read with what their entities know. Answers after a second at most; the caller asks again with the same
    /// place until it is done.
    /// </summary>
    [Alias("Merge"), ResponseTimeout(CallPatience.WithRead)]
    ValueTask<ChunkAnswer> Merge(ChunkSlice slice);

    /// <summary>
    /// Remembers from now on, as long as the activation lives, what a backfill must know of a table that it reads (<see cref="TableWatch"/>); or
    /// no more.
    /// </summary>
    /// <param name="backfill">The backfill.</param>
    /// <param name="table">Number of the table in the schema store.</param>
    /// <param name="name">Its name, as <c>schema.table</c>.</param>
    /// <param name="watch">What is wanted.</param>
    [Alias("WatchTable")]
    ValueTask Watch(long backfill, int table, string name, TableWatch watch);

    /// <summary>
    /// Returns the keys of the entities whose rows lack values (<see cref="Watch"/>), and forgets them. Their rows must be read again. Null when
    /// the stored rows of the table were forgotten since the watch began: then the whole table must be read again.
    /// </summary>
    /// <param name="table">Number of the table in the schema store.</param>
    [Alias("TakeIncomplete")]
    ValueTask<string[]?> TakeIncomplete(int table);

    /// <summary>
    /// Returns the generation of the activation. A reader asks a partition that has nothing to do: another generation than that of
    /// <see cref="Open"/> shows that the activation which it opened is gone.
    /// </summary>
    [Alias("GetGeneration"), ResponseTimeout(CallPatience.Brief)]
    ValueTask<long> GetGeneration();

    /// <summary>
    /// Begins no entity of these tables for a replay any more, because their stored rows are about to be deleted, until <see cref="Forget"/>,
    /// their truncation, or <see cref="Open"/>. Returns whether none is under way; if not, call again.
    /// </summary>
    /// <param name="epoch">The reader's epoch.</param>
    /// <param name="tables">Numbers of the tables in the schema store.</param>
    /// <exception cref="StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("HoldReplays"), ResponseTimeout(CallPatience.Brief)]
    ValueTask<bool> HoldReplays(long epoch, int[] tables);
}

/// <summary>What is sent when a dead letter is delivered again.</summary>
public enum RedeliverAs
{
    /// <summary>The event of the dead letter.</summary>
    Event,

    /// <summary>The current row of its entity as an event of the operation <c>r</c>, or a delete.</summary>
    Current,
}

/// <summary>A dead letter that stays as it is.</summary>
/// <param name="Id">The dead letter.</param>
/// <param name="Reason">Why, and what can be done.</param>
[GenerateSerializer, Immutable, Alias("cdc.LetterRefusal")]
public sealed record LetterRefusal([property: Id(0)] long Id, [property: Id(1)] string Reason);

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
