namespace CdcOrleans.Grains.Collections;

/// <summary>A list that holds its first item itself: most of ours never have a second, and cost no array then.</summary>
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

    /// <summary>Removes so many items from the front.</summary>
    public void RemoveFirst(int count)
    {
        Count -= count;
        if (Count == 0)
        {
            _first = default!;
            _rest = null;
            return;
        }

        // The new first is the one after those removed.
        _first = _rest![count - 1];
        _rest.RemoveRange(0, count);
    }
}
