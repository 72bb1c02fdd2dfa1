using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Interfaces.Entities;

/// <summary>The serialization point of one entity. Key: <see cref="EntityId.ToString"/>. Lives on its partition's silo.</summary>
[Alias("cdc.IEntityGrain")]
public interface IEntityGrain : IGrainWithStringKey
{
    /// <summary>The entity as last applied, durable or not; null when nothing is known of it.</summary>
    [Alias("GetState")]
    ValueTask<EntityView?> GetState();

    /// <summary>The row held of the entity, for the reader to complete another with it.</summary>
    /// <param name="epoch">Epoch of the reader that asks.</param>
    /// <param name="taken">The last version that the entity's partition got or has durable, as far as the reader knows.</param>
    /// <exception cref="Partitions.StaleReaderException">The partition already follows a reader of a higher epoch.</exception>
    [Alias("ReadRow")]
    ValueTask<HeldRow> ReadRow(long epoch, ChangeVersion taken);

    /// <summary>The entity's partition needs its activation.</summary>
    /// <param name="generation">Generation of the partition's activation that asks.</param>
    /// <returns>Whether the activation works for that one; if not, it ends, and the partition asks again.</returns>
    [Alias("Wake")]
    ValueTask<bool> Wake(long generation);
}

/// <summary>What an entity holds of its row.</summary>
/// <param name="Settled">Whether all that was sent of it is applied; else ask again.</param>
/// <param name="Version">The last applied version.</param>
/// <param name="Table">Shape of <paramref name="Row"/>; null when no row is held.</param>
/// <param name="Row">The row; absent when none is held.</param>
/// <param name="IsBehind">Whether it cannot settle before it is opened (again): it lacks what the reader sent.</param>
[GenerateSerializer, Immutable, Alias("cdc.HeldRow")]
public sealed record HeldRow(
    [property: Id(0)] bool Settled, [property: Id(1)] ChangeVersion Version = default, [property: Id(2)] TableSchema? Table = null, [property: Id(3)] RowImage Row = default,
    [property: Id(4)] bool IsBehind = false);

/// <summary>An entity as shown to people and programs.</summary>
[GenerateSerializer, Immutable, Alias("cdc.EntityView")]
public sealed record EntityView
{
    /// <summary>The entity.</summary>
    [Id(0)] public required EntityId Id { get; init; }

    /// <summary>The last applied version.</summary>
    [Id(1)] public required ChangeVersion Version { get; init; }

    /// <summary>Whether the row no longer exists.</summary>
    [Id(2)] public required bool Deleted { get; init; }

    /// <summary>Number of the table schema that <see cref="Row"/> follows.</summary>
    [Id(3)] public required int SchemaVersion { get; init; }

    /// <summary>The row as a JSON object, values as in events; null when deleted or when the table holds versions only.</summary>
    [Id(4)] public string? Row { get; init; }

    /// <summary>Changes that are on their way to sinks, or wait for those.</summary>
    [Id(5)] public int Waiting { get; init; }

    /// <summary>Whether the entity was awake when it was asked. A question wakes it.</summary>
    [Id(6)] public bool Awake { get; init; }
}
