using System.Collections.Concurrent;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Grains.Interfaces.Serialization;

/// <summary>
/// The shapes that came from other silos, each once. Numbers alone do not name a shape: they are those of one control database, and a
/// process may know several. There are as many as tables have been altered, so none is let go.
/// </summary>
internal static class TableSchemas
{
    private static readonly ConcurrentDictionary<TableSchema, TableSchema> Known = new(
        new[] { SourceStreams.Messages, SourceStreams.Transactions, SourceStreams.Heartbeats }.Select(s => KeyValuePair.Create(s, s)), Comparer.Instance);

    /// <summary>The one instance of a shape.</summary>
    public static TableSchema Shared(TableSchema shape) => Known.GetOrAdd(shape, shape);

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
