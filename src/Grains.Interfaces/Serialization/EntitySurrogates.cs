using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>An <see cref="EntityKey"/> between silos; the receiver computes its hash again.</summary>
[GenerateSerializer, Immutable, Alias("cdc.EntityKey")]
internal readonly struct EntityKeySurrogate
{
    [Id(0)] public string Table { get; init; }

    [Id(1)] public string Key { get; init; }
}

/// <summary>An <see cref="EntityId"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.EntityId")]
internal readonly struct EntityIdSurrogate
{
    [Id(0)] public string Source { get; init; }

    [Id(1)] public EntityKey Key { get; init; }
}

/// <inheritdoc cref="EntityKeySurrogate" />
[RegisterConverter]
internal sealed class EntityKeyConverter : IConverter<EntityKey, EntityKeySurrogate>
{
    /// <inheritdoc />
    public EntityKey ConvertFromSurrogate(in EntityKeySurrogate surrogate) => new(surrogate.Table, surrogate.Key);

    /// <inheritdoc />
    public EntityKeySurrogate ConvertToSurrogate(in EntityKey value) => new() { Table = value.Table, Key = value.Key };
}

/// <inheritdoc cref="EntityIdSurrogate" />
[RegisterConverter]
internal sealed class EntityIdConverter : IConverter<EntityId, EntityIdSurrogate>
{
    /// <inheritdoc />
    public EntityId ConvertFromSurrogate(in EntityIdSurrogate surrogate) => new(surrogate.Source, surrogate.Key);

    /// <inheritdoc />
    public EntityIdSurrogate ConvertToSurrogate(in EntityId value) => new() { Source = value.Source, Key = value.Key };
}
