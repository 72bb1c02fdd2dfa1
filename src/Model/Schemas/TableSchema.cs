namespace CdcOrleans.Model.Schemas;

/// <summary>
/// One schema version of a table: its columns and its key. Immutable, and numbered in the schema store. A process has only one instance of
/// each schema that it receives from other silos.
/// </summary>
public sealed class TableSchema
{
    /// <summary>
    /// Number of the table in the schema store. It is unique across sources, and all schema versions of the table share it.
    /// </summary>
    public required int TableId { get; init; }

    /// <summary>Number of this schema version of the table, from 1.</summary>
    public required int Version { get; init; }

    /// <summary>The table's schema (namespace), unquoted.</summary>
    public required string Schema { get; init; }

    /// <summary>The table's name, unquoted.</summary>
    public required string Name { get; init; }

    /// <summary>The columns, in the order of row images.</summary>
    public required ColumnSchema[] Columns { get; init; }

    /// <summary>Indexes into <see cref="Columns"/> of the key, in the key's declared order; empty without a key.</summary>
    public required int[] Key { get; init; }

    /// <summary>
    /// Whether the log has only inserts of the table, because nothing identifies its old rows. Then no row is stored, because it would
    /// never be updated.
    /// </summary>
    public bool InsertsOnly { get; init; }

    /// <summary>
    /// OID of the table on the server; 0 when it is not known. A table with another OID is another table, even under the same name.
    /// </summary>
    public uint RelationOid { get; init; }

    /// <summary><c>schema.table</c>, unquoted; only the name when there is no schema (<see cref="SourceStreams"/>).</summary>
    public string FullName => field ??= Schema.Length == 0 ? Name : $"{Schema}.{Name}";
}

/// <summary>One column of a table.</summary>
public sealed record ColumnSchema
{
    /// <summary>The column's name, unquoted.</summary>
    public required string Name { get; init; }

    /// <summary>Oid of its type; of the base type where the column's type is a domain.</summary>
    public required uint TypeOid { get; init; }

    /// <summary>The type modifier (length, precision and scale), −1 where none.</summary>
    public required int TypeModifier { get; init; }

    /// <summary>The type's name as <c>format_type</c> gives it, such as <c>numeric(10,2)</c>.</summary>
    public required string TypeName { get; init; }

    /// <summary>Whether the column may be NULL.</summary>
    public bool Nullable { get; init; } = true;

    /// <summary>Type of the elements where the column's type is an array; null for all other types.</summary>
    public ElementSchema? Element { get; init; }

    /// <summary>The default of the column in PostgreSQL's text form, if it is a constant; null otherwise.</summary>
    public string? Default { get; init; }

    /// <summary>
    /// The attribute number of the column (<c>attnum</c>), which does not change when the column is renamed. 0 when it is not certain,
    /// because the catalog had changed before the log was read.
    /// </summary>
    public int Number { get; init; }
}

/// <summary>Type of an array's elements.</summary>
/// <param name="TypeOid">Oid of the type; of the base type where it is a domain.</param>
/// <param name="TypeModifier">Its modifier, −1 where none.</param>
/// <param name="TypeName">Its name as <c>format_type</c> gives it.</param>
/// <param name="Delimiter">The delimiter between elements in the text of an array: a comma for all types but <c>box</c>.</param>
public sealed record ElementSchema(
    uint TypeOid, int TypeModifier, string TypeName, char Delimiter);
