using CdcOrleans.Grains.Interfaces.Replays;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The replays that have not ended, and sums over all replays that this process has seen running. The sums never go down: what a replay had
/// done stays in them when it has ended. One thread takes; any thread reads.
/// </summary>
internal sealed class ReplayFigures
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, ReplayView> _open = [];
    private readonly Dictionary<(string Source, string Sink, string Table), ReplaySums> _ended = [];
    private readonly Dictionary<(string Source, string Sink, string State), long> _endings = [];
    private HashSet<long> _known = [];
    private long _allKnownBefore;

    /// <summary>The replays that are running or paused.</summary>
    public IReadOnlyList<ReplayView> Open
    {
        get
        {
            lock (_gate)
                return [.. _open.Values];
        }
    }

    /// <summary>The sums, for each source, sink and table.</summary>
    public IReadOnlyDictionary<(string Source, string Sink, string Table), ReplaySums> Sums
    {
        get
        {
            lock (_gate)
            {
                var sums = new Dictionary<(string Source, string Sink, string Table), ReplaySums>(_ended);
                foreach (var replay in _open.Values)
                    Add(sums, replay);
                return sums;
            }
        }
    }

    /// <summary>How many replays have ended in which state, for each source and sink.</summary>
    public IReadOnlyDictionary<(string Source, string Sink, string State), long> Endings
    {
        get
        {
            lock (_gate)
                return new Dictionary<(string Source, string Sink, string State), long>(_endings);
        }
    }

    /// <summary>Whether a replay was seen before.</summary>
    public bool IsKnown(long id)
    {
        lock (_gate)
            return id < _allKnownBefore || _known.Contains(id);
    }

    /// <summary>Takes replays as they are at the start. Those that have ended before count in no sum.</summary>
    public void Begin(IEnumerable<ReplayView> replays)
    {
        lock (_gate)
        {
            foreach (var replay in replays)
            {
                _known.Add(replay.Id);
                if (IsOpen(replay))
                    _open[replay.Id] = replay;
            }
        }
    }

    /// <summary>Takes a replay as it is now.</summary>
    public void Take(ReplayView replay)
    {
        lock (_gate)
        {
            var isNew = replay.Id >= _allKnownBefore && _known.Add(replay.Id);
            if (IsOpen(replay))
                _open[replay.Id] = replay;
            else if (_open.Remove(replay.Id) || isNew)
                End(replay);
        }
    }

    /// <summary>Takes a replay that does not exist any more. What it had done stays in the sums.</summary>
    public void Lost(ReplayView replay)
    {
        lock (_gate)
        {
            if (_open.Remove(replay.Id))
                Add(_ended, replay);
        }
    }

    /// <summary>From now on, every replay with a lower id counts as known.</summary>
    public void KnowAllBefore(long id)
    {
        lock (_gate)
        {
            _allKnownBefore = Math.Max(_allKnownBefore, id);
            _known = [.. _known.Where(k => k >= _allKnownBefore)];
        }
    }

    private static bool IsOpen(ReplayView replay) => replay.State is "running" or "paused";

    private void End(ReplayView replay)
    {
        Add(_ended, replay);
        var key = (replay.Source, replay.Sink, replay.State);
        _endings[key] = _endings.GetValueOrDefault(key) + 1;
    }

    private static void Add(Dictionary<(string Source, string Sink, string Table), ReplaySums> sums, ReplayView replay)
    {
        foreach (var table in replay.Tables)
        {
            var key = (replay.Source, replay.Sink, table.Table);
            var before = sums.GetValueOrDefault(key);
            sums[key] = new ReplaySums(before.RowsDone + table.RowsDone, before.Sent + table.Sent, before.Parked + table.Parked, before.DeadLetters + table.Refused);
        }
    }
}

/// <summary>Sums over replays.</summary>
/// <param name="RowsDone">Rows that are done.</param>
/// <param name="Sent">Rows that were sent.</param>
/// <param name="Parked">Events that were parked.</param>
/// <param name="DeadLetters">Events that became dead letters.</param>
internal readonly record struct ReplaySums(long RowsDone, long Sent, long Parked, long DeadLetters);
