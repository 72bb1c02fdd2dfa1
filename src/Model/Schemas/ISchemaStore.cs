namespace CdcOrleans.Model.Schemas;

/// <summary>The numbered table schemas of all sources, in the control database. Safe for concurrent use.</summary>
public interface ISchemaStore
{
    /// <summary>
    /// Numbers a shape: an equal shape that the store already has for this table keeps its number, a new one takes the next.
    /// <see cref="TableSchema.TableId"/> and <see cref="TableSchema.Version"/> of <paramref name="shape"/> are ignored.
    /// </summary>
    Task<TableSchema> Register(string source, TableSchema shape, CancellationToken cancellation);

    /// <summary>The schema of a number. Answers from memory after the first time.</summary>
    /// <exception cref="KeyNotFoundException">The store has no such schema.</exception>
    ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation);

    /// <summary>The newest schema of a table; null when nothing of it was ever captured.</summary>
    Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation);

    /// <summary>The number of a table; null when nothing of it was ever captured.</summary>
    ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation);

    /// <summary>What a relation of the source has stood for, the oldest first; empty when nothing of it was ever captured.</summary>
    /// <param name="source">The source.</param>
    /// <param name="oid">The relation's oid at its server.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation);

    /// <summary>Adds to a relation's history; a record of the same version takes the place of the one before.</summary>
    Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation);

    /// <summary>The relation that stood for a table last; null when none ever did.</summary>
    Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation);
}
