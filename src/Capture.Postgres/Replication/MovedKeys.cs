using System.IO.Hashing;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// The keys that updates of the current transaction gave to another row, with a hash of the row that has the key now. Where uniqueness is
/// checked late (a deferrable key, or a key that is dropped and added again), a row can take a key before the former owner has left it. The
/// log then has the former owner's departure last, although the key belongs to the other row. With complete old rows
/// (REPLICA IDENTITY FULL) the two can be told apart.
/// </summary>
internal sealed class MovedKeys
{
    private readonly Dictionary<(string Table, string Key), UInt128> _rows = [];

    /// <summary>Records that an update gave a key to a row.</summary>
    public void Taken(string table, string key, ReadOnlySpan<byte> row) => _rows[(table, key)] = XxHash128.HashToUInt128(row);

    /// <summary>Records that the row that has the key was updated.</summary>
    public void Updated(string table, string key, ReadOnlySpan<byte> row)
    {
        if (_rows.ContainsKey((table, key)))
            Taken(table, key, row);
    }

    /// <summary>Records that no row has the key any more, or that it is not known which.</summary>
    public void Left(string table, string key) => _rows.Remove((table, key));

    /// <summary>Whether an old row is that of the former owner of a key, which another row has now.</summary>
    public bool IsFormerOwner(string table, string key, ReadOnlySpan<byte> oldRow) =>
        _rows.Count > 0 && _rows.TryGetValue((table, key), out var owner) && owner != XxHash128.HashToUInt128(oldRow);

    /// <summary>Removes the keys of a table, because its rows may have another form from here on.</summary>
    public void Forget(string table)
    {
        foreach (var key in _rows.Keys.Where(k => k.Table == table).ToList())
            _rows.Remove(key);
    }

    /// <summary>Removes all keys, because the transaction ended.</summary>
    public void Clear() => _rows.Clear();
}
