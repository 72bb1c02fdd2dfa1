using CdcOrleans.Grains.Collections;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// The unfinished changes of a partition in the order in which they were accepted, and the progress. Not safe for concurrent use.
/// </summary>
internal sealed class PartitionSequence
{
    private readonly Ring<Entry> _entries = new();
    private long _first;

    /// <param name="progress">Everything at or before this version is already finished.</param>
    public PartitionSequence(ChangeVersion progress)
    {
        Progress = progress;
        Accepted = progress;
    }

    /// <summary>The version up to which all changes are finished.</summary>
    public ChangeVersion Progress { get; private set; }

    /// <summary>Version of the last accepted change.</summary>
    public ChangeVersion Accepted { get; private set; }

    /// <summary>Number of accepted changes that <see cref="Progress"/> does not cover yet.</summary>
    public int Unfinished => _entries.Count;

    /// <summary>Accepts the next change and returns its place; false when it, or a newer one, was accepted before.</summary>
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

    /// <summary>Marks a change as finished. <see cref="Progress"/> moves when everything before it is finished too.</summary>
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
