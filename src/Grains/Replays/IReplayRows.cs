using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Replays;

/// <summary>Where the rows of a replay come from. What is read names entities; each entity then sends its current row, or its past changes.</summary>
internal interface IReplayRows
{
    /// <summary>Returns the next entities of a table.</summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, with the place up to which it is done.</param>
    /// <param name="most">Most of them.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<HeldKeys> Read(string source, ReplayTable table, int most, CancellationToken cancellation);
}

/// <summary>The entities that are stored, in the order of their keys.</summary>
internal sealed class HeldRows(IReplayStore store) : IReplayRows
{
    /// <inheritdoc />
    public Task<HeldKeys> Read(string source, ReplayTable table, int most, CancellationToken cancellation) =>
        store.ReadKeys(source, table.Table, table.After, most, cancellation);
}

/// <summary>
/// The entities with changes in a window of the journal, in the order of the first of these changes. Changes that come after the beginning
/// are not looked at: they came to the sink as they were made.
/// </summary>
internal sealed class JournalRows(IJournalHistories journals, JournalWindow window) : IReplayRows
{
    private readonly Dictionary<string, JournalPosition> _last = [];

    /// <inheritdoc />
    public async Task<HeldKeys> Read(string source, ReplayTable table, int most, CancellationToken cancellation)
    {
        if (!_last.TryGetValue(table.Table, out var last))
            _last.Add(table.Table, last = await journals.Last(source, table.Table, cancellation));
        var after = table.After is { } position ? JournalPosition.Parse(position) : JournalPosition.Start;
        var found = await journals.Starts(source, table.Table, after, last, window, most, cancellation);
        return new HeldKeys(found.Keys, 0, found.After?.ToString());
    }
}

/// <summary>The entities that were asked for by their keys.</summary>
internal sealed class AskedRows : IReplayRows
{
    /// <inheritdoc />
    public Task<HeldKeys> Read(string source, ReplayTable table, int most, CancellationToken cancellation)
    {
        string[] next = [.. table.Keys!.Where(k => table.After is null || string.CompareOrdinal(k, table.After) > 0).Order(StringComparer.Ordinal).Take(most)];
        return Task.FromResult(new HeldKeys(next, 0, next.Length > 0 ? next[^1] : null));
    }
}
