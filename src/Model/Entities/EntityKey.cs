using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace CdcOrleans.Model.Entities;

/// <summary>
/// An entity within its source: table and primary key in canonical text. The hash is computed once, is the same in every
/// process and release, and decides the entity's partition.
/// </summary>
public readonly struct EntityKey : IEquatable<EntityKey>
{
    /// <summary>Creates a key.</summary>
    /// <param name="table">Table as <c>schema.table</c>, unquoted.</param>
    /// <param name="key">Key in canonical text (<see cref="EntityKeyText"/>).</param>
    public EntityKey(string table, string key)
    {
        Table = table;
        Key = key;
        Hash = HashOf(table, key);
    }

    /// <summary>Table as <c>schema.table</c>, unquoted.</summary>
    public string Table { get; }

    /// <summary>Key in canonical text.</summary>
    public string Key { get; }

    /// <summary>Stable 64-bit hash of table and key.</summary>
    public ulong Hash { get; }

    /// <summary>The entity's partition, 0 ≤ partition &lt; <paramref name="partitions"/>.</summary>
    public int Partition(int partitions) => (int)(Hash % (ulong)partitions);

    /// <inheritdoc />
    public bool Equals(EntityKey other) =>
        Hash == other.Hash
        && string.Equals(Key, other.Key, StringComparison.Ordinal)
        && string.Equals(Table, other.Table, StringComparison.Ordinal);

    /// <inheritdoc />
    public override bool Equals(object? obj) => obj is EntityKey other && Equals(other);

    /// <inheritdoc />
    public override int GetHashCode() => (int)(Hash >> 32);

    /// <summary><c>table/key</c>.</summary>
    public override string ToString() => $"{Table}/{Key}";

#pragma warning disable CS1591 // The equality operators need no documentation.
    public static bool operator ==(EntityKey left, EntityKey right) => left.Equals(right);
    public static bool operator !=(EntityKey left, EntityKey right) => !left.Equals(right);
#pragma warning restore CS1591

    // Hashes the UTF-16 code units in little-endian order: the result is the same on every platform that we support.
    private static ulong HashOf(string table, string key) =>
        XxHash3.HashToUInt64(MemoryMarshal.AsBytes(key.AsSpan()), (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(table.AsSpan())));
}
