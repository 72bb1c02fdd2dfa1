using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// The keys that updates and inserts of the current transaction gave to another row, with a hash of the row that has the key now. Where
/// uniqueness is checked late (a deferrable key, or a key that is dropped and added again), a row can take a key before the former owner has
/// left it. The log then has the former owner's departure last, although the key belongs to the other row. With complete old rows
/// (REPLICA IDENTITY FULL) the two can be told apart.
/// </summary>
internal sealed class MovedKeys
{
    /// <summary>Keys that are kept at most, some 64 bytes each. A row that takes a key after that is not remembered.</summary>
    private const int Most = 4_000_000;

    // By table, and by the hash of the key.
    private readonly Dictionary<string, Dictionary<UInt128, UInt128>> _rows = [];
    private int _count;

    /// <summary>Records that an update or an insert gave a key to a row.</summary>
    public void Taken(string table, string key, ReadOnlySpan<byte> row)
    {
        if (!_rows.TryGetValue(table, out var keys))
            _rows.Add(table, keys = []);
        if (_count >= Most)
        {
            Left(table, key);
            return;
        }

        keys[Hash(key)] = XxHash128.HashToUInt128(row);
        _count++;
    }

    /// <summary>Records that the row that has the key was updated.</summary>
    public void Updated(string table, string key, ReadOnlySpan<byte> row)
    {
        if (_rows.TryGetValue(table, out var keys) && Hash(key) is var hash && keys.ContainsKey(hash))
            keys[hash] = XxHash128.HashToUInt128(row);
    }

    /// <summary>Records that no row has the key any more, or that it is not known which.</summary>
    public void Left(string table, string key)
    {
        if (_rows.TryGetValue(table, out var keys))
            keys.Remove(Hash(key));
    }

    /// <summary>Whether an old row is that of the former owner of a key, which another row has now.</summary>
    public bool IsFormerOwner(string table, string key, ReadOnlySpan<byte> oldRow) =>
        _rows.TryGetValue(table, out var keys) && keys.TryGetValue(Hash(key), out var owner) && owner != XxHash128.HashToUInt128(oldRow);

    /// <summary>Removes the keys of a table, because its rows may have another form from here on.</summary>
    public void Forget(string table) => _rows.Remove(table);

    /// <summary>Removes all keys, because the transaction ended.</summary>
    public void Clear()
    {
        if (_rows.Count > 0)
            _rows.Clear();
        _count = 0;
    }

    private static UInt128 Hash(string key) => XxHash128.HashToUInt128(MemoryMarshal.AsBytes(key.AsSpan()));
}
