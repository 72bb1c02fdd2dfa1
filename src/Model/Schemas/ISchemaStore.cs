namespace CdcOrleans.Model.Schemas;

/// <summary>The numbered table schemas of all sources, in the control database. Safe for concurrent use.</summary>
public interface ISchemaStore
{
    /// <summary>
    /// Gives a schema its number. When the store already has an equal schema of this table, its number is used; otherwise the next one.
    /// <see cref="TableSchema.TableId"/> and <see cref="TableSchema.Version"/> of <paramref name="schema"/> are ignored.
    /// </summary>
    Task<TableSchema> Register(string source, TableSchema schema, CancellationToken cancellation);

    /// <summary>Reads the schema of a number. After the first call it answers from memory.</summary>
    /// <exception cref="KeyNotFoundException">The store has no such schema.</exception>
    ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation);

    /// <summary>Finds the newest schema of a table; null when the table was never captured.</summary>
    Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation);

    /// <summary>Finds the number of a table; null when the table was never captured.</summary>
    ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation);

    /// <summary>Reads the history of a relation, the oldest record first; empty when the relation was never captured.</summary>
    /// <param name="source">The source.</param>
    /// <param name="oid">OID of the relation on the server.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation);

    /// <summary>Adds a record to the history of a relation. It replaces a record of the same version.</summary>
    Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation);

    /// <summary>Reads the origins of rows that were seen last, by OID of the relation.</summary>
    Task<IReadOnlyDictionary<uint, SeenOrigin>> Origins(string source, CancellationToken cancellation);

    /// <summary>Stores origins of rows, by OID of the relation. They replace what was seen before.</summary>
    Task SaveOrigins(string source, IReadOnlyDictionary<uint, SeenOrigin> origins, CancellationToken cancellation);

    /// <summary>Finds the relation that had the name of a table last; null when there was none.</summary>
    Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation);
}
