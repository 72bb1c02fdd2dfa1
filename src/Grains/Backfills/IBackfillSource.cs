using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Backfills;

/// <summary>The reader and the partitions of a source, as a backfill sees them.</summary>
internal interface IBackfillSource
{
    /// <summary>Number of partitions.</summary>
    int Partitions { get; }

    /// <summary>Returns the generation of a partition's activation.</summary>
    Task<long> Generation(int partition);

    /// <summary>Gives rows to a partition, or asks whether it is done with them.</summary>
    Task<ChunkAnswer> Merge(int partition, ChunkSlice slice);

    /// <summary>Makes a partition watch a table from now on, or no more (<see cref="TableWatch"/>).</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="backfill">The backfill that reads the table.</param>
    /// <param name="table">Number of the table in the schema store.</param>
    /// <param name="name">Its name, as <c>schema.table</c>.</param>
    /// <param name="watch">What is wanted.</param>
    Task Watch(int partition, long backfill, int table, string name, TableWatch watch);

    /// <summary>
    /// Returns the keys of the entities whose rows lack values, as a partition has remembered them, and forgets them. Null when the stored rows
    /// of the table were forgotten since the watch began.
    /// </summary>
    /// <param name="partition">The partition.</param>
    /// <param name="table">Number of the table in the schema store.</param>
    Task<string[]?> TakeIncomplete(int partition, int table);

    /// <summary>
    /// Returns whether every change that commits before a position is durable in every partition; if not, with what the source is doing. The
    /// reader is asked to move on.
    /// </summary>
    Task<(bool IsReached, string? Waiting)> HasReached(Lsn position);
}
