using CdcOrleans.Grains.Interfaces.Calls;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Interfaces.Entities;

/// <summary>
/// The entity grain: the only place that applies changes of one entity. Key: <see cref="EntityId.ToString"/>. It is on the silo of its
/// partition.
/// </summary>
[Alias("cdc.IEntityGrain")]
public interface IEntityGrain : IGrainWithStringKey
{
    /// <summary>Returns the last applied state of the entity, durable or not; null when nothing is known of the entity.</summary>
    /// <exception cref="EntityUnavailableException">The state is only in the control database and cannot be read now.</exception>
    [Alias("GetState")]
    ValueTask<EntityView?> GetState();

    /// <summary>Returns the stored row of the entity. The reader uses it to complete another row.</summary>
    /// <param name="epoch">Epoch of the reader that asks.</param>
    /// <param name="lastSent">The last version that was sent to the entity's partition or is durable there, as far as the reader knows.</param>
    /// <exception cref="Partitions.StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("ReadRow"), ResponseTimeout(CallPatience.WithRead)]
    ValueTask<StoredRow> ReadRow(long epoch, ChangeVersion lastSent);

    /// <summary>The entity's partition needs its activation.</summary>
    /// <param name="generation">Generation of the partition's activation that asks.</param>
    /// <returns>Whether the activation works for that one; if not, it ends, and the partition asks again.</returns>
    [Alias("Wake")]
    ValueTask<bool> Wake(long generation);
}

/// <summary>The stored row of an entity.</summary>
/// <param name="AllApplied">Whether all changes of the entity that were sent are applied. If not, the reader asks again.</param>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Schema of <paramref name="Row"/>; null when no row is stored.</param>
/// <param name="Row">The row; absent when none is stored.</param>
/// <param name="MustReopen">Whether the partition lacks batches that the reader sent. The reader must then open it again first.</param>
[GenerateSerializer, Immutable, Alias("cdc.StoredRow")]
public sealed record StoredRow(
    [property: Id(0)] bool AllApplied, [property: Id(1)] ChangeVersion Version = default, [property: Id(2)] TableSchema? Table = null, [property: Id(3)] RowImage Row = default,
    [property: Id(4)] bool MustReopen = false)
{
    /// <summary>The chunk of a backfill that told the row, which may be newer than <see cref="Version"/>; null when none did.</summary>
    [Id(5)] public StoredChunk? Chunk { get; init; }
}

/// <summary>The state of an entity cannot be read now. The message has the remedy and no row data.</summary>
[GenerateSerializer, Alias("cdc.EntityUnavailableException")]
public sealed class EntityUnavailableException(string message) : Exception(message);

/// <summary>An entity as shown to people and programs.</summary>
[GenerateSerializer, Immutable, Alias("cdc.EntityView")]
public sealed record EntityView
{
    /// <summary>The entity.</summary>
    [Id(0)] public required EntityId Id { get; init; }

    /// <summary>The last applied version.</summary>
    [Id(1)] public required ChangeVersion Version { get; init; }

    /// <summary>Whether the row was deleted.</summary>
    [Id(2)] public required bool Deleted { get; init; }

    /// <summary>Number of the table schema that <see cref="Row"/> follows.</summary>
    [Id(3)] public required int SchemaVersion { get; init; }

    /// <summary>
    /// The current row as a JSON object with the same values as in events; null when it was deleted, and for tables with <c>entities:
    /// version</c>.
    /// </summary>
    [Id(4)] public string? Row { get; init; }

    /// <summary>Changes of the entity that are being delivered to sinks, or wait for that.</summary>
    [Id(5)] public int Waiting { get; init; }

    /// <summary>Whether the entity was awake when it was asked. A question wakes it.</summary>
    [Id(6)] public bool Awake { get; init; }

    /// <summary>Why <see cref="Row"/> is null although there is a row: it is too large to be stored, or what is stored cannot be read.</summary>
    [Id(7)] public RowAbsence RowAbsence { get; init; }
}
