using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>An entity as the pipeline stores it. A large value of −1 is not known.</summary>
internal sealed record ModelEntity(MergeState Merge, ModelRow? Row);

/// <summary>What a chunk has read: the version of each of its keys.</summary>
internal sealed record ModelChunk(int[] Keys, ChunkSnapshot Snapshot, ModelEntry?[] Seen);

/// <summary>Reads the log and chunks of a model database, and merges them under the given rules.</summary>
internal sealed class ModelPipeline(ModelDatabase database, int keys, MergeRules rules, bool forgetsAtOnce)
{
    private const int Unknown = -1;

    private int _former = Unknown;
    private Progress _now = new([], new int[keys], new ModelEntity?[keys], 0, 0, null, []);
    private Progress? _durable;
    private BackfillHorizon _horizon = BackfillHorizon.None;
    private ulong _reference;

    // Results that are on their way. They may be merged more than once.
    private readonly List<ModelChunk> _read = [];

    private sealed record Progress(
        HashSet<int> Outstanding, int[] Told, ModelEntity?[] Entities, int Transaction, int Change, (ChangeVersion Version, ulong Xid)? Truncation,
        HashSet<int> ReadAgain)
    {
        public Progress Copy() => this with { Outstanding = [.. Outstanding], Told = [.. Told], Entities = [.. Entities], ReadAgain = [.. ReadAgain] };
    }

    /// <summary>The slot is created, or the table joins the publication: the stream begins here.</summary>
    public void Start()
    {
        database.IsPublished = true;
        _now = _now with { Transaction = database.Log.Count, Outstanding = [.. Enumerable.Range(0, keys)], Told = [.. Enumerable.Repeat(-1, keys)] };
        var end = database.End;
        _horizon = new BackfillHorizon(end, database.AssignXid());
        _reference = _horizon.Xid;
        Checkpoint();
    }

    public void Checkpoint() => _durable = _now.Copy();

    /// <summary>
    /// The process dies. The log is sent again from the beginning of the transaction, and what was told since the checkpoint is told again.
    /// </summary>
    public void Crash()
    {
        _now = _durable!.Copy() with { Change = 0 };
        _former = Unknown;
        _read.Clear();
    }

    /// <summary>Reads some keys. The fence may be read any time after the snapshot: here, when more commits are in the log.</summary>
    public void Read(Random dice, Action meanwhile, params int[] read)
    {
        var snapshot = database.Snapshot();
        if (rules.AwaitsHorizon && !_horizon.IsSettledIn(snapshot))
            return;
        ModelEntry?[] seen = [.. read.Select(k => database.Seen(k, snapshot))];
        if (dice.Next(3) == 0)
            meanwhile();
        _reference = Math.Max(_reference, snapshot.Xmax);
        _read.Add(new ModelChunk(read, new ChunkSnapshot(snapshot, database.End), seen));
    }

    /// <summary>Reads keys that are not read yet, or are to be read again.</summary>
    public void ReadNext(Random dice, Action meanwhile)
    {
        int[] open = [.. _now.Outstanding.Concat(_now.ReadAgain).Distinct()];
        if (open.Length == 0)
            return;
        var first = dice.Next(open.Length);
        Read(dice, meanwhile, open[first..Math.Min(open.Length, first + 1 + dice.Next(3))]);
    }

    public void MergeNext(Random dice)
    {
        if (_read.Count == 0)
            return;
        var chunk = _read[dice.Next(_read.Count)];
        if (dice.Next(4) > 0)
            _read.Remove(chunk);
        Merge(chunk);
    }

    /// <summary>Takes the next change of the log; false at its end.</summary>
    public bool Stream()
    {
        if (_now.Transaction >= database.Log.Count)
            return false;
        var transaction = database.Log[_now.Transaction];
        var xid = rules.Widen((uint)transaction.Xid, _reference);
        if (_now.Change < transaction.Changes.Count)
        {
            var entry = transaction.Changes[_now.Change];
            _now = _now with { Change = _now.Change + 1 };
            if (entry.IsPublished)
                Take(entry, new ChangeVersion(transaction.CommitLsn, _now.Change), xid);
        }

        if (_now.Change >= transaction.Changes.Count)
            _now = _now with { Transaction = _now.Transaction + 1, Change = 0 };
        if (forgetsAtOnce)
            ForgetPassed();
        return true;
    }

    /// <summary>Everything that is open is finished, and then the entities are compared with the table.</summary>
    public void Finish(Random dice)
    {
        while (Stream())
        {
        }

        for (var round = 0; _now.Outstanding.Count + _now.ReadAgain.Count + _read.Count > 0; round++)
        {
            Assert.True(round < 200, "The backfill does not end.");
            ReadNext(dice, () => { });
            while (_read.Count > 0)
                MergeNext(dice);
        }

        for (var key = 0; key < keys; key++)
        {
            Assert.Equal(database.Current(key), _now.Entities[key]?.Row);
            Assert.Equal(database.Current(key), _now.Told[key] < 0 ? null : database.Entry(_now.Told[key]).Row);
        }
    }

    private void Take(ModelEntry entry, ChangeVersion version, ulong xid)
    {
        var entity = _now.Entities[entry.Key];
        var merge = entity?.Merge ?? Nothing;
        if (entry.FormerKey is null)
            _former = Former(entry, entity, merge, version, xid);
        switch (rules.OfChange(merge, version, xid))
        {
            case ChangeDecision.Included:
                _now.Entities[entry.Key] = entity! with { Merge = rules.Skipped(merge, version, xid) };
                break;
            case ChangeDecision.Apply when entry.IsTruncation:
                // The states of a table that is truncated are deleted.
                _now.Entities[entry.Key] = null;
                if (entity?.Row is not null)
                    Tell(entry.Key, entry.Number);
                break;
            case ChangeDecision.Apply:
                Apply(entry, version, xid, entity, merge);
                break;
        }

        if (entry.IsTruncation && rules.RemembersTruncations && !(_now.Truncation?.Version > version))
            _now = _now with { Truncation = (version, xid) };
    }

    private void Apply(ModelEntry entry, ChangeVersion version, ulong xid, ModelEntity? entity, MergeState merge)
    {
        var row = entry.Row is null || entry.LargeIsInLog ? entry.Row : entry.Row with { Large = Held(entry, entity) };
        var isIncomplete = row is { Large: Unknown };
        if (isIncomplete && rules.ReadsAgain)
            _now.ReadAgain.Add(entry.Key);

        // Invariant 0: what an event says of a row was so.
        if (row is { Large: not Unknown })
            Assert.Equal(entry.Row, row);
        _now.Entities[entry.Key] = new ModelEntity(merge.Applied(version, xid, row is not null, isIncomplete), row);
        Tell(entry.Key, entry.Number);
    }

    // The large value of an update that did not change it: from the stored row; after a change of the key, from that of the former key.
    private int Held(ModelEntry entry, ModelEntity? entity) =>
        entry.FormerKey is null ? entity?.Row?.Large ?? Unknown : _former;

    // The reader asks for the row of the former key before it sends the delete. What a chunk has put there may be newer than the change.
    private int Former(ModelEntry entry, ModelEntity? entity, MergeState merge, ChangeVersion version, ulong xid)
    {
        var changes = database.Log[_now.Transaction].Changes;
        var isMove = _now.Change < changes.Count && changes[_now.Change].FormerKey == entry.Key;
        var isAsOfThen = !rules.AsksFormerKey || rules.OfChange(merge, version, xid) == ChangeDecision.Apply;
        return isMove && isAsOfThen ? entity?.Row?.Large ?? Unknown : Unknown;
    }

    private void Merge(ModelChunk chunk)
    {
        for (var i = 0; i < chunk.Keys.Length; i++)
        {
            var (key, seen) = (chunk.Keys[i], chunk.Seen[i]);
            var merge = _now.Entities[key]?.Merge ?? Nothing;
            var exists = seen?.Row is not null;
            var decision = exists ? rules.OfRow(merge, chunk.Snapshot, _horizon) : rules.OfAbsence(merge, chunk.Snapshot, _horizon);
            _now.Outstanding.Remove(key);
            if (decision == ChunkDecision.Replace || !merge.IsIncomplete)
                _now.ReadAgain.Remove(key);
            if (decision == ChunkDecision.ReadAgain && rules.ReadsAgain)
                _now.ReadAgain.Add(key);
            if (decision != ChunkDecision.Replace)
                continue;
            _now.Entities[key] = new ModelEntity(merge.Replaced(chunk.Snapshot, exists), seen?.Row);
            Tell(key, seen?.Number ?? -1);
        }
    }

    private MergeState Nothing => _now.Truncation is { } truncation ? new MergeState { Version = truncation.Version, Xid = truncation.Xid } : default;

    private void Tell(int key, int number)
    {
        Assert.True(number >= _now.Told[key], $"Key {key} goes back from version {_now.Told[key]} to {number}.");
        _now.Told[key] = number;
    }

    private void ForgetPassed()
    {
        var position = _now.Transaction < database.Log.Count ? database.Log[_now.Transaction].CommitLsn : database.End;
        for (var key = 0; key < keys; key++)
        {
            if (_now.Entities[key] is { } entity)
                _now.Entities[key] = entity with { Merge = rules.Read(entity.Merge, position) };
        }
    }
}
