using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Interfaces.Entities;

/// <summary>
/// The entity grain: the only place that applies changes of one entity. Key: <see cref="EntityId.ToString"/>. It is on the silo of its
/// partition.
/// </summary>
[Alias("cdc.IEntityGrain")]
public interface IEntityGrain : IGrainWithStringKey
{
    /// <summary>Returns the last applied state of the entity, durable or not; null when nothing is known of the entity.</summary>
    [Alias("GetState")]
    ValueTask<EntityView?> GetState();
}

/// <summary>The state of an entity, for the API.</summary>
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

    /// <summary>Number of changes that wait until a running delivery is finished.</summary>
    [Id(5)] public int Waiting { get; init; }
}
