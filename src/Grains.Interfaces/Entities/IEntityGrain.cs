using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Interfaces.Entities;

/// <summary>The serialization point of one entity. Key: <see cref="EntityId.ToString"/>. Lives on its partition's silo.</summary>
[Alias("cdc.IEntityGrain")]
public interface IEntityGrain : IGrainWithStringKey
{
    /// <summary>The entity as last applied, durable or not; null when nothing is known of it.</summary>
    [Alias("GetState")]
    ValueTask<EntityView?> GetState();
}

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

    /// <summary>Changes waiting for a delivery in flight.</summary>
    [Id(5)] public int Waiting { get; init; }
}
