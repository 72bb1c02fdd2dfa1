namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// What a partition remembers of a table while a backfill reads it. Used on the partition's scheduler.
/// </summary>
/// <param name="backfill">The backfill.</param>
internal sealed class WatchedTable(long backfill)
{
    /// <summary>Most keys of changed entities that are remembered: some megabytes.</summary>
    public const int MostChanged = 20_000;

    private readonly HashSet<string> _changed = [];

    /// <summary>
    /// Keys of entities whose rows lack values after a change of the log: the chunk with their row may have been merged before.
    /// </summary>
    public HashSet<string> Incomplete { get; } = [];

    /// <summary>Whether the stored rows of the table were forgotten since the watch began.</summary>
    public bool IsForgotten { get; set; }

    /// <summary>Whether every entity that has changed is known. It is not when there were too many, or another backfill reads the table too.</summary>
    public bool IsComplete { get; private set; } = true;

    /// <summary>Records that a backfill reads the table.</summary>
    public void Watch(long by)
    {
        if (by != backfill)
            GiveUp();
    }

    /// <summary>Records that an entity has another state than before.</summary>
    public void Changed(string key)
    {
        if (!IsComplete)
            return;
        if (_changed.Count >= MostChanged)
            GiveUp();
        else
            _changed.Add(key);
    }

    /// <summary>Whether nothing but rows of the backfill has given an entity a state.</summary>
    /// <param name="by">The backfill that asks.</param>
    /// <param name="key">The entity.</param>
    public bool IsUnchanged(long by, string key) => IsComplete && by == backfill && !_changed.Contains(key);

    /// <summary>Records that the table is watched no more. Rows that still wait are merged as if nothing was known.</summary>
    public void End() => GiveUp();

    private void GiveUp()
    {
        IsComplete = false;
        _changed.Clear();
    }
}
