namespace CdcOrleans.Grains.Collections;

/// <summary>
/// A list that stores its first item in the struct itself. Most of these lists have one item, and then need no array. It is a mutable
/// struct: a copy has its own count. Not safe for concurrent use.
/// </summary>
internal struct FirstAndRest<T>
{
    private T _first;
    private List<T>? _rest;

    public int Count { get; private set; }

    public readonly T this[int index] => index == 0 ? _first : _rest![index - 1];

    public void Add(T item)
    {
        if (Count++ == 0)
            _first = item;
        else
            (_rest ??= []).Add(item);
    }

    /// <summary>Removes items from the end.</summary>
    /// <param name="count">How many items stay; at most <see cref="Count"/>.</param>
    public void CutTo(int count)
    {
        if (count == Count)
            return;
        if (_rest is not null && Count > 1)
            _rest.RemoveRange(Math.Max(0, count - 1), Count - Math.Max(1, count));
        if (count == 0)
            _first = default!;
        Count = count;
    }

    /// <summary>Removes items from the front.</summary>
    /// <param name="count">How many; at most <see cref="Count"/>.</param>
    public void RemoveFirst(int count)
    {
        Count -= count;
        if (Count == 0)
        {
            _first = default!;
            _rest = null;
            return;
        }

        // The item after the removed ones becomes the first.
        _first = _rest![count - 1];
        _rest.RemoveRange(0, count);
    }
}
