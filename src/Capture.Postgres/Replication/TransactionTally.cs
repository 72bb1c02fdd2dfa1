namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Counts the events of the current transaction: the total, and per table in the order of their first events.</summary>
internal sealed class TransactionTally
{
    private readonly Dictionary<string, int> _places = [];
    private readonly List<(string Table, int Events)> _tables = [];

    /// <summary>Events so far.</summary>
    public int Total { get; private set; }

    /// <summary>Events so far of each table that has any.</summary>
    public IReadOnlyList<(string Table, int Events)> Tables => _tables;

    /// <summary>Counts an event of a table.</summary>
    /// <returns>Its number among all events and among those of its table, from 1.</returns>
    public (int Total, int OfTable) Count(string table)
    {
        if (!_places.TryGetValue(table, out var place))
        {
            _places.Add(table, place = _tables.Count);
            _tables.Add((table, 0));
        }

        var events = _tables[place].Events + 1;
        _tables[place] = (table, events);
        return (++Total, events);
    }

    /// <summary>Resets the counts for another transaction.</summary>
    public void Clear()
    {
        Total = 0;
        _places.Clear();
        _tables.Clear();
    }
}
