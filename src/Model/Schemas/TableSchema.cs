namespace CdcOrleans.Model.Schemas;

/// <summary>
/// A table's shape as the log announced it: immutable, and numbered in the store. A process has one instance of a shape that arrives
/// from another silo.
/// </summary>
public sealed class TableSchema
{
    /// <summary>Number of the table in the store: unique across sources, kept when the shape changes.</summary>
    public required int TableId { get; init; }

    /// <summary>Number of this shape of the table, from 1.</summary>
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
    /// Whether the log carries the table's inserts alone, because nothing identifies its old rows: no entity of it can hold a row that
    /// stays true.
    /// </summary>
    public bool InsertsOnly { get; init; }

    /// <summary>Oid of the table at its server: another one under the same name is another table. 0 where it is not known.</summary>
    public uint RelationOid { get; init; }

    /// <summary><c>schema.table</c>, unquoted; the name alone where there is no schema (<see cref="SourceStreams"/>).</summary>
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

    /// <summary>The column's default in PostgreSQL's text form, where it is a constant; null otherwise.</summary>
    public string? Default { get; init; }

    /// <summary>
    /// The column's number in its table at the server, which it keeps whatever it is called; 0 where that is not certain, because the
    /// catalog had changed when the log was read.
    /// </summary>
    public int Number { get; init; }
}

/// <summary>Type of an array's elements.</summary>
/// <param name="TypeOid">Oid of the type; of the base type where it is a domain.</param>
/// <param name="TypeModifier">Its modifier, −1 where none.</param>
/// <param name="TypeName">Its name as <c>format_type</c> gives it.</param>
/// <param name="Delimiter">What stands between elements in the array's text: a comma for all types but <c>box</c>.</param>
public sealed record ElementSchema(
    uint TypeOid, int TypeModifier, string TypeName, char Delimiter);
