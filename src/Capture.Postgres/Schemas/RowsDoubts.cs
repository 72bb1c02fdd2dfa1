using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// The relations whose rows are doubted: the catalog has a new origin of their rows (<see cref="RowsOrigin"/>), and what made it so may
/// still come in the log.
/// </summary>
internal sealed class RowsDoubts
{
    private readonly Dictionary<uint, RelationRecord> _open = [];
    private readonly List<(uint Relation, RelationRecord Record)> _ended = [];

    /// <summary>The lowest position after which rows of a relation are not doubted any more; null when there is none.</summary>
    public Lsn? Until { get; private set; }

    /// <summary>Takes notice of the record that is valid for a relation.</summary>
    /// <param name="relation">The relation.</param>
    /// <param name="record">The record.</param>
    /// <param name="isNew">Whether this part of the log is read for the first time.</param>
    /// <returns>Whether the relation's rows are doubted from here on.</returns>
    public bool Note(uint relation, RelationRecord record, bool isNew)
    {
        var isOpen = isNew && record.Entities == EntityMode.Row && record.Origin is not null && record.From.CommitLsn <= record.OriginSeen;
        if (isOpen)
            _open[relation] = record;
        else if (!_open.Remove(relation))
            return false;
        SetUntil();
        return isOpen;
    }

    /// <summary>Returns the tables whose doubts end before the given place.</summary>
    public IReadOnlyList<int> End(ChangeVersion at)
    {
        var tables = new List<int>();
        foreach (var (relation, record) in _open.Where(d => d.Value.OriginSeen < at.CommitLsn).ToList())
        {
            _open.Remove(relation);

            // Valid from just before the transaction, so that an announcement at its begin is not taken for one that was read before.
            var from = new ChangeVersion(new Lsn(at.CommitLsn.Value - 1), 0);
            _ended.Add((relation, record with { From = from, Forgotten = [], OriginSeen = Lsn.None }));
            tables.Add(record.Table.TableId);
        }

        SetUntil();
        return tables;
    }

    /// <summary>Returns the records of ended doubts, once.</summary>
    public IReadOnlyList<(uint Relation, RelationRecord Record)> TakeEnded()
    {
        var ended = _ended.ToList();
        _ended.Clear();
        return ended;
    }

    private void SetUntil() => Until = _open.Count == 0 ? null : _open.Values.Min(r => r.OriginSeen);
}
