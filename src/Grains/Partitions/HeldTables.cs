namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// Counts what is under way of each table, and holds tables whose stored rows are about to be deleted: nothing of them is begun meanwhile.
/// Runs on the partition's scheduler.
/// </summary>
internal sealed class HeldTables
{
    private readonly HashSet<int> _held = [];
    private readonly Dictionary<int, int> _underWay = [];
    private readonly List<(int[] Tables, TaskCompletionSource Quiet)> _quiet = [];

    /// <summary>Whether a table is held.</summary>
    public bool IsHeld(int table) => _held.Contains(table);

    /// <summary>Holds tables until <see cref="Release"/>. Completes when nothing of them is under way.</summary>
    public Task Hold(int[] tables)
    {
        _held.UnionWith(tables);
        if (IsQuiet(tables))
            return Task.CompletedTask;
        var quiet = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _quiet.Add((tables, quiet));
        return quiet.Task;
    }

    /// <summary>Goes on with some tables; null for all.</summary>
    public void Release(int[]? tables)
    {
        if (tables is null)
            _held.Clear();
        else
            _held.ExceptWith(tables);
    }

    /// <summary>Counts one that was begun.</summary>
    public void Begun(int table) => _underWay[table] = _underWay.GetValueOrDefault(table) + 1;

    /// <summary>Counts one that is finished.</summary>
    public void Finished(int table)
    {
        if (--_underWay[table] > 0)
            return;
        _underWay.Remove(table);
        for (var i = _quiet.Count - 1; i >= 0; i--)
        {
            if (!IsQuiet(_quiet[i].Tables))
                continue;
            _quiet[i].Quiet.TrySetResult();
            _quiet.RemoveAt(i);
        }
    }

    /// <summary>Gives up who waits, because the partition ends.</summary>
    public void Close()
    {
        foreach (var (_, quiet) in _quiet)
            quiet.TrySetCanceled();
        _quiet.Clear();
    }

    private bool IsQuiet(int[] tables) => !tables.Any(_underWay.ContainsKey);
}
