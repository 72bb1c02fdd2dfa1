using System.Globalization;
using System.Text;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Backfills;

/// <summary>
/// A partition with its entities merges rows while the log of a model database streams: chunks are read at any moment, some at a replica that
/// lags, and merged late, and the process dies. In the end, the stored states are the table's rows, and so are the rows at a sink that takes every event in order, and at one
/// that keeps the event with the highest version.
/// </summary>
public sealed class PartitionBackfillTests
{
    private const int Keys = 4;

    [Theory]
    [InlineData(EntityActivation.WhenNeeded, false)]
    [InlineData(EntityActivation.Always, false)]
    [InlineData(EntityActivation.WhenNeeded, true)]
    public void Rows_and_changes_become_the_table(EntityActivation activation, bool isReplica) =>
        Gen.Int.Sample(seed => new Run(seed, activation, isReplica).Play().GetAwaiter().GetResult(), iter: 2500);

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 3)]
    public async Task Only_the_states_that_may_be_stored_are_looked_up(bool hasNoStates, int reads)
    {
        var store = new TestStore();
        await using var rig = new PartitionRig(store);
        rig.Take(Changes.Create("unsaved", 1));
        await rig.AnswerAll();
        rig.Partition.Watch(1, Sample.Orders.TableId, Sample.Orders.FullName, TableWatch.GoOn);
        Assert.Equal(reads, await Reads(Slice(1, hasNoStates, "a", "b", "c")));

        // What may have been stored in the meantime is looked up: changes, and what was not durable when the watch began.
        rig.Take(Changes.Create("changed", 2));
        await rig.AnswerAll();
        await rig.Checkpoint();
        rig.Partition.Buffer.Forget((_, _) => true);
        Assert.Equal(2, await Reads(Slice(1, hasNoStates, "changed", "unsaved")));

        // Another backfill does not know what this one has stored.
        Assert.Equal(1, await Reads(Slice(2, hasNoStates: true, "a")));
        rig.Partition.Watch(2, Sample.Orders.TableId, Sample.Orders.FullName, TableWatch.GoOn);
        Assert.Equal(1, await Reads(Slice(1, hasNoStates, "d")));

        async Task<int> Reads(ChunkSlice slice)
        {
            var before = store.Reads;
            var work = rig.Merge(slice);
            await rig.AnswerAll();
            Assert.Equal(slice.Rows.Length, work.Finished.Sum());
            return store.Reads - before;
        }
    }

    [Fact]
    public async Task Stored_rows_are_deleted_when_no_row_of_a_backfill_can_be_stored_after_it()
    {
        await using var rig = new PartitionRig(new TestStore());
        rig.Merge(Slice(1, hasNoStates: false, "a"));
        await rig.AnswerAll();
        var quiet = rig.Partition.HoldReplays([Sample.Orders.TableId]);
        Assert.False(quiet.IsCompleted);
        await rig.Checkpoint();
        await quiet.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    private static ChunkSlice Slice(long backfill, bool hasNoStates, params string[] keys) => new()
    {
        At = new ChunkSlice.Place(backfill, 1, Math.Abs(string.Concat(keys).GetHashCode(StringComparison.Ordinal))), Generation = 1, Kind = BackfillKind.Rows, Table = Sample.Orders,
        Chunk = new StoredChunk(1, new ChunkSnapshot(new TransactionSnapshot(100, 100), new Lsn(5))), Horizon = new BackfillHorizon(Lsn.None, 50), Position = Lsn.None,
        HasNoStates = hasNoStates,
        Rows = [.. keys.Select(k => new ChunkSlice.ReadRow { Entity = new EntityKey(Sample.Orders.FullName, k), Row = Sample.Row(k, "read", null), Mark = SnapshotMark.Incremental })],
    };

    private sealed class Run
    {
        private readonly Random _dice;
        private readonly EntityActivation _activation;
        private readonly bool _isReplica;
        private readonly ModelDatabase _database;
        private readonly TestStore _store = new();
        private readonly List<(ChunkSlice Slice, BackfillWork? Work)> _read = [];
        private readonly Dictionary<long, int> _awaited = [];
        private readonly HashSet<int> _open = [.. Enumerable.Range(0, Keys)];
        private readonly Dictionary<string, string> _ordered = [];
        private readonly Dictionary<string, (ChangeVersion Version, string Row)> _compared = [];
        private readonly Dictionary<string, int> _told = [];
        private PartitionRig _rig = null!;
        private BackfillHorizon _horizon = null!;
        private long _chunks;

        // Whether nothing was stored when the partition had begun to watch the table, and the keys of the rows that were read since.
        private readonly HashSet<int> _seen = [];
        private bool _isFresh;
        private int _begin;
        private int _next;
        private int _taken;
        private EntityState? _former;

        public Run(int seed, EntityActivation activation, bool isReplica)
        {
            _dice = new Random(seed);
            _isReplica = isReplica;
            _activation = activation;
            _database = new ModelDatabase((ulong)(_dice.Next(2) == 0 ? 3 : (1L << 32) - 12), Keys);
        }

        public async Task Play()
        {
            for (var i = _dice.Next(20); i > 0; i--)
                Write();
            _database.IsPublished = true;
            _begin = _next = _database.Log.Count;
            Open();
            for (var i = _dice.Next(12); i > 0; i--)
            {
                Write();
                if (_dice.Next(2) == 0)
                    await Stream();
                if (_dice.Next(4) == 0)
                    await _rig.AnswerAll();
                if (_dice.Next(8) == 0)
                    await _rig.Checkpoint();
            }

            Watch();
            _isFresh = _store.States.Count == 0;
            while (_next < _database.Log.Count)
                await Stream();
            await Settle();
            Horizon();
            for (var steps = _dice.Next(10, 80); steps > 0; steps--)
                await Step();
            foreach (var open in _database.Open.ToList())
            {
                _database.Commit(open);
                _database.EndOf(open);
            }

            for (var round = 0; _open.Count > 0 || _read.Count > 0 || _next < _database.Log.Count; round++)
            {
                Assert.True(round < 300, "The backfill does not end.");
                await Stream();
                if (_open.Count > 0)
                    Read([.. _open], isLast: true);
                await Merge();
                await Settle();
                if (_next == _database.Log.Count)
                    _open.UnionWith(_rig.Partition.TakeIncomplete(Sample.Orders.TableId)!.Select(Key));
            }

            await Settle();
            await _rig.DisposeAsync();
            for (var key = 0; key < Keys; key++)
                Check(key);
        }

        private void Check(int key)
        {
            var name = Name(key);
            var row = _database.Current(key) is { } current ? Text(current) : "";
            var state = _store.States.GetValueOrDefault(new StateKey(Sample.Orders.TableId, name));
            Assert.Equal(row, state is null or { Deleted: true } ? "" : Text(state.Row));
            Assert.Equal(row, _ordered.GetValueOrDefault(name, ""));
            Assert.Equal(row, _compared.TryGetValue(name, out var compared) ? compared.Row : "");
        }

        private async Task Step()
        {
            switch (_dice.Next(14))
            {
                case < 6:
                    Write();
                    break;
                case < 9:
                    await Stream();
                    break;
                case 9:
                    Read([.. Enumerable.Range(_dice.Next(Keys), Keys).Take(1 + _dice.Next(3)).Select(k => k % Keys)]);
                    break;
                case 10:
                    await Merge();
                    break;
                case 11:
                    _rig.Sink.AnswerOne(_dice.Next(100));
                    break;
                case 12:
                    await _rig.Checkpoint();
                    await Finished();
                    break;
                default:
                    if (_dice.Next(3) == 0)
                        await Crash();
                    break;
            }

            await _rig.Loaded();
        }

        private void Write()
        {
            if (_database.Open.Count == 0 || (_database.Open.Count < 3 && _dice.Next(3) == 0))
                _database.Begin();
            var transaction = _database.Open[_dice.Next(_database.Open.Count)];
            var key = _dice.Next(Keys);
            switch (_dice.Next(12))
            {
                case < 3:
                    _database.Insert(transaction, key);
                    break;
                case < 6:
                    _database.Update(transaction, key, large: _dice.Next(3) == 0);
                    break;
                case 6:
                    _database.Delete(transaction, key);
                    break;
                case 7:
                    _database.Move(transaction, key, _dice.Next(Keys), large: _dice.Next(2) == 0);
                    break;
                case < 10:
                    _database.Commit(transaction);
                    break;
                case 10 when _dice.Next(6) == 0:
                    _database.Truncate(transaction);
                    break;
                default:
                    _database.EndOf(transaction);
                    break;
            }
        }

        // The reader sends the rest of a transaction, or a part of it.
        private async Task Stream()
        {
            if (_next >= _database.Log.Count)
                return;
            var transaction = _database.Log[_next];
            for (var most = _dice.Next(1, 5); most > 0 && _taken < transaction.Changes.Count; most--)
            {
                var entry = transaction.Changes[_taken];
                if (entry.IsTruncation && entry.IsPublished)
                {
                    await Truncate(transaction);
                    continue;
                }

                _taken++;
                if (entry.IsPublished)
                    await Take(transaction, entry);
            }

            if (_taken >= transaction.Changes.Count)
                (_next, _taken) = (_next + 1, 0);
        }

        // Before the reader sends the deletion of a row that moves to another key, it asks for that row.
        private async Task Take(ModelTransaction transaction, ModelEntry entry)
        {
            var change = Change(transaction, entry, _taken);
            if (entry.FormerKey is null)
                _former = null;
            if (_taken < transaction.Changes.Count && transaction.Changes[_taken].FormerKey == entry.Key && change.Version > _rig.Partition.Accepted)
            {
                await _rig.AnswerAll();
                var state = _rig.Partition.Buffer.Find(change.Entity) ?? _store.States.GetValueOrDefault(new StateKey(Sample.Orders.TableId, change.Entity.Key));
                if (state is { Deleted: false } && state.Version < change.Version && state.Chunk?.Snapshot.Includes(transaction.CommitLsn, transaction.Xid) != true)
                    _former = state;
            }
            else if (entry.FormerKey is not null && _former is not null)
            {
                change = change with { After = ImageCompletion.After(change, _former) };
            }

            _rig.Take(change);
        }

        // The model has a truncation of each key; the log has one of the table.
        private async Task Truncate(ModelTransaction transaction)
        {
            await Settle();
            var ordinal = _taken + 1;
            while (_taken < transaction.Changes.Count && transaction.Changes[_taken].IsTruncation && _taken < ordinal - 1 + Keys)
                _taken++;
            var version = new ChangeVersion(transaction.CommitLsn, ordinal);
            var isKnown = version <= _rig.Partition.Accepted;
            if (!isKnown)
            {
                var quiet = _rig.Partition.HoldReplays([Sample.Orders.TableId]);
                await Settle();
                Assert.True(quiet.IsCompletedSuccessfully);
            }

            await _store.Truncate("shop", 1, Sample.Orders.TableId, version, CancellationToken.None);
            _rig.Take(Sample.Change(ChangeOperation.Truncate, "", version) with { Transaction = Of(transaction), Entity = new EntityKey(Sample.Orders.FullName, "") });
            foreach (var name in Enumerable.Range(0, isKnown ? 0 : Keys).Select(Name))
            {
                _ordered[name] = "";
                _compared[name] = (version, "");

                // What was read after the truncation is deleted with it, and the stream tells it again.
                _told.Remove(name);
            }

            await Settle();
        }

        private void Read(int[] keys, bool isLast = false)
        {
            var snapshot = _database.Snapshot();
            Func<int, ModelEntry?> seen = key => _database.Seen(key, snapshot);
            var isFromReplica = _isReplica && _dice.Next(4) > 0;
            if (isFromReplica)
                (snapshot, seen) = _database.Replayed(isLast ? _database.Log.Count : _dice.Next(_database.Log.Count + 1));
            if (!_horizon.IsSettledIn(snapshot))
                return;

            // A backfill reads rows again only when all rows are merged that it has read in order.
            if (_read.Any(r => r.Work is null && r.Slice.HasNoStates && r.Slice.Rows.Any(row => keys.Contains(Key(row.Entity.Key)))))
                return;
            var rows = keys.ToDictionary(k => k, k => seen(k)?.Row);
            if (!isLast && _dice.Next(3) == 0)
                Write();
            var chunk = new StoredChunk(++_chunks, new ChunkSnapshot(snapshot, _database.End));
            _store.Fence = chunk.Snapshot.Fence > _store.Fence ? chunk.Snapshot.Fence : _store.Fence;
            var slice = new ChunkSlice
            {
                At = new ChunkSlice.Place(1, 1, _chunks), Generation = 1, Kind = BackfillKind.Rows, Table = Sample.Orders, Chunk = chunk, Horizon = _horizon,
                Position = _horizon.Lsn, HasNoStates = _isFresh && !keys.Any(_seen.Contains),
                Rows = [.. keys.Select(k => rows[k] is { } row
                    ? new ChunkSlice.ReadRow { Entity = Entity(k), Row = Row(k, row), Mark = SnapshotMark.Incremental }
                    : new ChunkSlice.ReadRow { Entity = Entity(k), KeyRow = Sample.Row(Name(k), null, null), Mark = SnapshotMark.Incremental })],
            };
            _seen.UnionWith(keys);
            _read.Add((slice, null));
            if (isFromReplica)
                _awaited[_chunks] = _database.Log.Count;
        }

        private async Task Merge()
        {
            if (_read.Count == 0)
                return;
            var at = _dice.Next(_read.Count);

            // Rows of a replica wait until the stream has reached the fence.
            if (_awaited.TryGetValue(_read[at].Slice.Chunk.Number, out var fence) && _next < fence)
                return;
            if (_read[at].Work is null)
                _read[at] = (_read[at].Slice, _rig.Merge(_read[at].Slice));
            await _rig.Loaded();
        }

        // What is done is durable; what must be read again is.
        private async Task Finished()
        {
            await _rig.Loaded();
            foreach (var read in _read.Where(r => r.Work is { UnderWay: 0, Rows.Count: 0 }).ToList())
            {
                if (!_rig.Partition.Buffer.WhenDurable().IsCompleted)
                    return;
                await read.Work!.Done.Task;
                _read.Remove(read);
                foreach (var row in read.Slice.Rows)
                    _open.Remove(Key(row.Entity.Key));
                _open.UnionWith(read.Work.Again.Select(Key));
            }
        }

        private async Task Crash()
        {
            Collect();
            await _rig.DisposeAsync();
            _read.Clear();
            _next = _begin;
            _taken = 0;
            _told.Clear();
            _former = null;
            _isFresh = false;
            Open();
            Watch();

            // What the new leg needs: everything before the horizon is durable.
            while (_next < _database.Log.Count)
                await Stream();
            await Settle();
            Horizon();
        }

        private void Open()
        {
            _rig = new PartitionRig(_store, new RigOptions { Activation = _activation });
            _rig.Format.Write = c => Encoding.UTF8.GetBytes(c.After.IsPresent ? Text(c.After) : "");
        }

        private void Watch() => _rig.Partition.Watch(1, Sample.Orders.TableId, Sample.Orders.FullName, TableWatch.GoOn);

        private void Horizon() => _horizon = new BackfillHorizon(_database.End, _database.AssignXid());

        private async Task Settle()
        {
            for (var round = 0; round < 4; round++)
            {
                await _rig.AnswerAll();
                await _rig.Checkpoint();
            }

            await Finished();
            Collect();
        }

        // The sinks take what was delivered.
        private void Collect()
        {
            foreach (var made in _rig.Sink.Answered)
            {
                var (name, row) = (made.Entity.Key, Encoding.UTF8.GetString(made.Value!));
                if (name.Length == 0)
                    continue;
                if (!_compared.TryGetValue(name, out var known) || made.Version >= known.Version)
                    _compared[name] = (made.Version, row);
                _ordered[name] = row;
                if (row.Length == 0)
                    continue;
                var number = int.Parse(row.Split(' ')[0], CultureInfo.InvariantCulture);
                Assert.True(number >= _told.GetValueOrDefault(name), $"{name} goes back from {_told.GetValueOrDefault(name)} to {number}.");
                _told[name] = number;
            }

            _rig.Sink.Answered.Clear();
        }

        private static RowChange Change(ModelTransaction transaction, ModelEntry entry, int ordinal)
        {
            var isNew = entry.FormerKey is not null || entry.IsInsert;
            var operation = entry.Row is null ? ChangeOperation.Delete : isNew ? ChangeOperation.Create : ChangeOperation.Update;
            var after = entry.Row is not { } row ? default : Sample.Row(Name(entry.Key), Number(row.Value), entry.LargeIsInLog ? Number(row.Large) : Sample.Unchanged);
            return Sample.Change(operation, Name(entry.Key), new ChangeVersion(transaction.CommitLsn, ordinal), after) with { Transaction = Of(transaction) };
        }

        private static SourceTransaction Of(ModelTransaction transaction) => new() { CommitLsn = transaction.CommitLsn, Xid = (uint)transaction.Xid, CommitMicros = 1 };

        private static RowImage Row(int key, ModelRow row) => Sample.Row(Name(key), Number(row.Value), Number(row.Large));

        private static string Text(ModelRow row) => $"{Number(row.Value)} {Number(row.Large)}";

        private static string Text(RowImage row) => string.Join(' ', Sample.Values(row).Skip(1));

        private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

        private static string Name(int key) => "k" + Number(key);

        private static int Key(string name) => int.Parse(name.AsSpan(1), CultureInfo.InvariantCulture);

        private static EntityKey Entity(int key) => new(Sample.Orders.FullName, Name(key));
    }
}
