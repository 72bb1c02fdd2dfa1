namespace CdcOrleans.Grains.Collections;

/// <summary>A queue in a ring buffer that grows. Its items can be changed in place. Not safe for concurrent use.</summary>
internal sealed class Ring<T>
{
    private T[] _items = new T[16];
    private int _head;

    public int Count { get; private set; }

    /// <summary>The item at an index, from 0 for the oldest. The index is not checked.</summary>
    public ref T this[int index] => ref _items[(_head + index) & (_items.Length - 1)];

    public ref T Last => ref this[Count - 1];

    public void Add(T item)
    {
        if (Count == _items.Length)
            Grow();
        _items[(_head + Count++) & (_items.Length - 1)] = item;
    }

    public void RemoveFirst()
    {
        _items[_head] = default!;
        _head = (_head + 1) & (_items.Length - 1);
        Count--;
    }

    private void Grow()
    {
        var larger = new T[_items.Length * 2];
        for (var i = 0; i < Count; i++)
            larger[i] = this[i];
        _items = larger;
        _head = 0;
    }
}
