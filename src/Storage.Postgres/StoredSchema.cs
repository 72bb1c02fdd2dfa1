using System.Text.Json;
using System.Text.Json.Serialization;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Storage.Postgres;

/// <summary>The JSON form of a table schema in the store. Members may be added, but never renamed.</summary>
internal sealed record StoredSchema(
    [property: JsonPropertyName("schema")] string Schema,
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("columns")] StoredColumn[] Columns,
    [property: JsonPropertyName("key")] int[] Key,
    [property: JsonPropertyName("inserts_only"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool InsertsOnly = false,
    [property: JsonPropertyName("relation_oid"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] uint RelationOid = 0)
{
    public static string Write(TableSchema schema) =>
        JsonSerializer.Serialize(
            new StoredSchema(
                schema.Schema,
                schema.Name,
                [.. schema.Columns.Select(c => new StoredColumn(c.Name, c.TypeOid, c.TypeModifier, c.TypeName, c.Nullable, StoredElement.Of(c.Element), c.Default, c.Number))],
                schema.Key,
                schema.InsertsOnly,
                schema.RelationOid),
            StoredSchemaJson.Default.StoredSchema);

    public static TableSchema Read(int tableId, int version, string content)
    {
        var stored = JsonSerializer.Deserialize(content, StoredSchemaJson.Default.StoredSchema)
            ?? throw new InvalidDataException($"Schema {version} of table {tableId} is empty in the control database.");
        return new TableSchema
        {
            TableId = tableId,
            Version = version,
            Schema = stored.Schema,
            Name = stored.Name,
            Columns = [.. stored.Columns.Select(c => new ColumnSchema
            {
                Name = c.Name, TypeOid = c.TypeOid, TypeModifier = c.TypeModifier, TypeName = c.TypeName, Nullable = c.Nullable, Element = c.Element?.Schema,
                Default = c.Default, Number = c.Number,
            })],
            Key = stored.Key,
            InsertsOnly = stored.InsertsOnly,
            RelationOid = stored.RelationOid,
        };
    }

    /// <summary>Whether two schemas are equal apart from their numbers.</summary>
    public static bool SameSchema(TableSchema left, TableSchema right) =>
        left.Schema == right.Schema
        && left.Name == right.Name
        && left.Columns.AsSpan().SequenceEqual(right.Columns)
        && left.Key.AsSpan().SequenceEqual(right.Key)
        && left.InsertsOnly == right.InsertsOnly
        && left.RelationOid == right.RelationOid;
}

/// <summary>A column of a <see cref="StoredSchema"/>.</summary>
internal sealed record StoredColumn(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("type_oid")] uint TypeOid,
    [property: JsonPropertyName("type_modifier")] int TypeModifier,
    [property: JsonPropertyName("type_name")] string TypeName,
    [property: JsonPropertyName("nullable")] bool Nullable,
    [property: JsonPropertyName("element"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] StoredElement? Element = null,
    [property: JsonPropertyName("default"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Default = null,
    [property: JsonPropertyName("number"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Number = 0);

/// <summary>Type of an array's elements in a <see cref="StoredSchema"/>.</summary>
internal sealed record StoredElement(
    [property: JsonPropertyName("type_oid")] uint TypeOid,
    [property: JsonPropertyName("type_modifier")] int TypeModifier,
    [property: JsonPropertyName("type_name")] string TypeName,
    [property: JsonPropertyName("delimiter")] char Delimiter)
{
    [JsonIgnore]
    public ElementSchema Schema => new(TypeOid, TypeModifier, TypeName, Delimiter);

    public static StoredElement? Of(ElementSchema? element) =>
        element is null ? null : new StoredElement(element.TypeOid, element.TypeModifier, element.TypeName, element.Delimiter);
}

[JsonSerializable(typeof(StoredSchema))]
internal sealed partial class StoredSchemaJson : JsonSerializerContext;
