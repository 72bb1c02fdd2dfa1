namespace CdcOrleans.Grains.Interfaces.Schemas;

/// <summary>A <see cref="TableSchema"/> between silos.</summary>
[GenerateSerializer, Immutable, Alias("cdc.TableSchema.Sent")]
internal readonly struct SentTableSchema
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
/// Reads a shape from another silo as the one instance that the process has of it: a message brings it once for all its changes, and
/// the entities that keep it, and what formats remember of it, would otherwise have one for each message.
/// </summary>
[RegisterConverter]
internal sealed class TableSchemaConverter : IConverter<TableSchema, SentTableSchema>
{
    /// <inheritdoc />
    public TableSchema ConvertFromSurrogate(in SentTableSchema surrogate) => TableSchemas.Shared(new TableSchema
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
    public SentTableSchema ConvertToSurrogate(in TableSchema value) => new()
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
