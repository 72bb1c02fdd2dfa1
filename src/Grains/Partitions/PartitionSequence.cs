using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The changes of a partition in the order in which they came, and how far all of them are finished.
/// Not safe for concurrent use.
/// </summary>
internal sealed class PartitionSequence
{
    private readonly Ring<Entry> _entries = new();
    private long _first;

    /// <param name="progress">Everything at or before it was finished earlier.</param>
    public PartitionSequence(ChangeVersion progress)
    {
        Progress = progress;
        Accepted = progress;
    }

    /// <summary>The longest finished prefix ends here.</summary>
    public ChangeVersion Progress { get; private set; }

    /// <summary>The last change taken.</summary>
    public ChangeVersion Accepted { get; private set; }

    /// <summary>Changes taken and not yet covered by <see cref="Progress"/>.</summary>
    public int Unfinished => _entries.Count;

    /// <summary>Takes the next change; false when it, or a newer one, was taken before.</summary>
    public bool TryAccept(ChangeVersion version, out long place)
    {
        if (version <= Accepted)
        {
            place = -1;
            return false;
        }

        Accepted = version;
        place = _first + _entries.Count;
        _entries.Add(new Entry { Version = version });
        return true;
    }

    /// <summary>A change is finished. <see cref="Progress"/> moves when everything before it is, too.</summary>
    public void Finish(long place)
    {
        _entries[(int)(place - _first)].Finished = true;
        while (_entries.Count > 0 && _entries[0].Finished)
        {
            Progress = _entries[0].Version;
            _entries.RemoveFirst();
            _first++;
        }
    }

    private struct Entry
    {
        public ChangeVersion Version;
        public bool Finished;
    }
}
