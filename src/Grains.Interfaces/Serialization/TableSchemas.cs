using System.Collections.Concurrent;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>
/// The schemas that came from other silos, one instance of each. The numbers are not enough to identify a schema: they belong to one
/// control database, and a process may use several. There are only as many schemas as tables were altered, so none is removed.
/// </summary>
internal static class TableSchemas
{
    private static readonly ConcurrentDictionary<TableSchema, TableSchema> Known = new(
        new[] { SourceStreams.Messages, SourceStreams.Transactions, SourceStreams.Heartbeats }.Select(s => KeyValuePair.Create(s, s)), Comparer.Instance);

    /// <summary>Returns the one instance of a schema.</summary>
    public static TableSchema Shared(TableSchema schema) => Known.GetOrAdd(schema, schema);

    private sealed class Comparer : IEqualityComparer<TableSchema>
    {
        public static readonly Comparer Instance = new();

        public bool Equals(TableSchema? x, TableSchema? y) =>
            ReferenceEquals(x, y)
            || (x is not null && y is not null
                && x.TableId == y.TableId
                && x.Version == y.Version
                && x.RelationOid == y.RelationOid
                && x.InsertsOnly == y.InsertsOnly
                && x.Name == y.Name
                && x.Schema == y.Schema
                && x.Key.AsSpan().SequenceEqual(y.Key)
                && x.Columns.AsSpan().SequenceEqual(y.Columns));

        public int GetHashCode(TableSchema obj) => HashCode.Combine(obj.TableId, obj.Version, obj.Name, obj.RelationOid);
    }
}
