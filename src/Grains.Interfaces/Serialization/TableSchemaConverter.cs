using CdcOrleans.Model.Schemas;
using Orleans.Serialization.Cloning;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>A <see cref="TableSchema"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.TableSchema.Sent")]
internal readonly struct TableSchemaSurrogate
{
    [Id(0)] public int TableId { get; init; }

    [Id(1)] public int Version { get; init; }

    [Id(2)] public string Schema { get; init; }

    [Id(3)] public string Name { get; init; }

    [Id(4)] public ColumnSchema[] Columns { get; init; }

    [Id(5)] public int[] Key { get; init; }

    [Id(6)] public bool InsertsOnly { get; init; }

    [Id(7)] public uint RelationOid { get; init; }
}

/// <summary>
/// Reads a schema from another silo and returns the one instance that this process has of it. A message contains a schema once for all its
/// changes. Without this, the entities and the caches of the formats would keep one instance per message.
/// </summary>
[RegisterConverter]
internal sealed class TableSchemaConverter : IConverter<TableSchema, TableSchemaSurrogate>
{
    /// <inheritdoc />
    public TableSchema ConvertFromSurrogate(in TableSchemaSurrogate surrogate) => TableSchemas.Shared(new TableSchema
    {
        TableId = surrogate.TableId,
        Version = surrogate.Version,
        Schema = surrogate.Schema,
        Name = surrogate.Name,
        Columns = surrogate.Columns,
        Key = surrogate.Key,
        InsertsOnly = surrogate.InsertsOnly,
        RelationOid = surrogate.RelationOid,
    });

    /// <inheritdoc />
    public TableSchemaSurrogate ConvertToSurrogate(in TableSchema value) => new()
    {
        TableId = value.TableId,
        Version = value.Version,
        Schema = value.Schema,
        Name = value.Name,
        Columns = value.Columns,
        Key = value.Key,
        InsertsOnly = value.InsertsOnly,
        RelationOid = value.RelationOid,
    };
}

/// <summary>A schema is immutable, so it is not copied within a silo.</summary>
[RegisterCopier]
internal sealed class TableSchemaCopier : ShallowCopier<TableSchema>;

/// <summary>A <see cref="ColumnSchema"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ColumnSchema")]
internal readonly struct ColumnSchemaSurrogate
{
    [Id(0)] public string Name { get; init; }

    [Id(1)] public uint TypeOid { get; init; }

    [Id(2)] public int TypeModifier { get; init; }

    [Id(3)] public string TypeName { get; init; }

    [Id(4)] public bool Nullable { get; init; }

    [Id(5)] public ElementSchema? Element { get; init; }

    [Id(6)] public string? Default { get; init; }

    [Id(7)] public int Number { get; init; }
}

/// <inheritdoc cref="ColumnSchemaSurrogate" />
[RegisterConverter]
internal sealed class ColumnSchemaConverter : IConverter<ColumnSchema, ColumnSchemaSurrogate>
{
    /// <inheritdoc />
    public ColumnSchema ConvertFromSurrogate(in ColumnSchemaSurrogate surrogate) => new()
    {
        Name = surrogate.Name,
        TypeOid = surrogate.TypeOid,
        TypeModifier = surrogate.TypeModifier,
        TypeName = surrogate.TypeName,
        Nullable = surrogate.Nullable,
        Element = surrogate.Element,
        Default = surrogate.Default,
        Number = surrogate.Number,
    };

    /// <inheritdoc />
    public ColumnSchemaSurrogate ConvertToSurrogate(in ColumnSchema value) => new()
    {
        Name = value.Name,
        TypeOid = value.TypeOid,
        TypeModifier = value.TypeModifier,
        TypeName = value.TypeName,
        Nullable = value.Nullable,
        Element = value.Element,
        Default = value.Default,
        Number = value.Number,
    };
}

/// <summary>An <see cref="ElementSchema"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ElementSchema")]
internal readonly struct ElementSchemaSurrogate
{
    [Id(0)] public uint TypeOid { get; init; }

    [Id(1)] public int TypeModifier { get; init; }

    [Id(2)] public string TypeName { get; init; }

    [Id(3)] public char Delimiter { get; init; }
}

/// <inheritdoc cref="ElementSchemaSurrogate" />
[RegisterConverter]
internal sealed class ElementSchemaConverter : IConverter<ElementSchema, ElementSchemaSurrogate>
{
    /// <inheritdoc />
    public ElementSchema ConvertFromSurrogate(in ElementSchemaSurrogate surrogate) =>
        new(surrogate.TypeOid, surrogate.TypeModifier, surrogate.TypeName, surrogate.Delimiter);

    /// <inheritdoc />
    public ElementSchemaSurrogate ConvertToSurrogate(in ElementSchema value) =>
        new() { TypeOid = value.TypeOid, TypeModifier = value.TypeModifier, TypeName = value.TypeName, Delimiter = value.Delimiter };
}
