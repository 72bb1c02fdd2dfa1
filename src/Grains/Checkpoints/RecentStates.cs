using System.Runtime.InteropServices;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>
/// States that a partition wrote recently, kept in memory so that the next change of their entities needs no read. There are two
/// generations. New states go into the newer one. When it has half of the share, the older one is dropped, and the newer one becomes the
/// older one. Not safe for concurrent use.
/// </summary>
/// <param name="share">Limit of both generations together, in bytes.</param>
internal sealed class RecentStates(long share)
{
    private const int EntryOverhead = 270;

    private Dictionary<EntityKey, EntityState> _newer = [];
    private Dictionary<EntityKey, EntityState> _older = [];
    private long _newerBytes;
    private long _olderBytes;

    /// <summary>Bytes of the stored states and their keys, with the overhead of the dictionaries.</summary>
    public long Bytes => _newerBytes + _olderBytes;

    /// <summary>Returns the state of an entity; null when it is not here.</summary>
    public EntityState? Find(EntityKey key) => _newer.TryGetValue(key, out var state) || _older.TryGetValue(key, out state) ? state : null;

    /// <summary>Adds a state, or replaces the older state of the entity. A state that is larger than half of the share is not kept.</summary>
    public void Add(EntityKey key, EntityState state)
    {
        if (SizeOf(key, state) > share / 2)
        {
            Remove(key);
            return;
        }

        ref var newest = ref CollectionsMarshal.GetValueRefOrAddDefault(_newer, key, out _);
        _newerBytes += SizeOf(key, state) - (newest is null ? 0 : SizeOf(key, newest));
        newest = state;
        if (_older.Count > 0 && _older.Remove(key, out var old))
            _olderBytes -= SizeOf(key, old);
        if (_newerBytes <= share / 2)
            return;
        _older = _newer;
        _olderBytes = _newerBytes;
        _newer = [];
        _newerBytes = 0;
    }

    /// <summary>Removes the state of an entity.</summary>
    public void Remove(EntityKey key)
    {
        if (_newer.Count > 0 && _newer.Remove(key, out var state))
            _newerBytes -= SizeOf(key, state);
        if (_older.Count > 0 && _older.Remove(key, out state))
            _olderBytes -= SizeOf(key, state);
    }

    /// <summary>Removes the states that match a condition.</summary>
    public void Remove(Func<EntityKey, EntityState, bool> isMeant)
    {
        foreach (var key in _newer.Concat(_older).Where(s => isMeant(s.Key, s.Value)).Select(s => s.Key).ToList())
            Remove(key);
    }

    /// <summary>Removes all states.</summary>
    public void Clear()
    {
        _newer = [];
        _older = [];
        _newerBytes = _olderBytes = 0;
    }

    private static int SizeOf(EntityKey key, EntityState state) => EntryOverhead + (2 * key.Key.Length) + state.Size;
}
