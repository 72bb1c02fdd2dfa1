namespace CdcOrleans.Grains.Interfaces.Schemas;

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
}
