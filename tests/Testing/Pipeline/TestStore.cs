using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>A control database in memory, of one source with one partition.</summary>
internal sealed class TestStore : ICheckpointStore, IParkedStore, IStateQueries, IJournalHistories
{
    /// <summary>The parked events, in order.</summary>
    public List<ParkedEvent> Parked { get; } = [];

    public Dictionary<(EntityKey, string), ParkedEntityState> ParkedEntities { get; } = [];

    /// <summary>The journal, in order.</summary>
    public SortedDictionary<ChangeVersion, JournalRow> Journal { get; } = [];

    /// <summary>Most changes of a page of a history.</summary>
    public int HistoryPageSize { get; set; } = 2;

    public Dictionary<StateKey, EntityState> States { get; } = [];

    public (ChangeVersion Progress, ChangeVersion High) Claims { get; private set; }

    /// <summary>The highest fence of chunks.</summary>
    public Lsn Fence { get; set; }

    public List<DeadLetter> DeadLetters { get; } = [];

    /// <summary>What became of dead letters that were delivered again.</summary>
    public List<LetterOutcome> Letters { get; } = [];

    /// <summary>Reads see what there is now, and answer when this is completed; null: at once.</summary>
    public TaskCompletionSource? Gate { get; set; }

    /// <summary>Why commits fail; null: they succeed.</summary>
    public Exception? Trouble { get; set; }

    /// <summary>How many states were read.</summary>
    public int Reads { get; private set; }

    /// <summary>For how many entities parked events were read.</summary>
    public int ParkedReads { get; private set; }

    /// <summary>Takes progress back, as if checkpoints had gone on while one delivery stayed open.</summary>
    public void Forget() => Claims = (ChangeVersion.None, Claims.High);

    public PartitionClaim Claim() => new(1, Claims.Progress, Claims.High);

    public Task<IReadOnlyList<EntityKey>> Commit(Checkpoint checkpoint, CancellationToken cancellation)
    {
        if (Trouble is { } trouble)
            throw trouble;
        foreach (var partition in checkpoint.Partitions)
        {
            Claims = (partition.Progress, partition.High);
            DeadLetters.AddRange(partition.DeadLetters);
            foreach (var row in partition.Journal)
                Journal.TryAdd(row.Change.Version, row);
            Parked.AddRange(partition.Parked.Where(p => Parked.All(known => known.Id != p.Id)));
            Letters.AddRange(partition.Letters);
            Parked.RemoveAll(p => partition.Unparked.Contains(p.Id));
            foreach (var state in partition.ParkedEntities)
            {
                if (state.IsOver)
                    ParkedEntities.Remove((state.Entity, state.Sink));
                else
                    ParkedEntities[(state.Entity, state.Sink)] = state;
            }

            foreach (var (key, state) in partition.States)
            {
                var id = new StateKey(state.Table.TableId, key.Key);
                if (!States.TryGetValue(id, out var before) || before.Version < state.Version
                    || (before.Version == state.Version && (before.Chunk?.Number ?? 0) < (state.Chunk?.Number ?? 0)))
                    States[id] = state;
            }
        }

        return Task.FromResult<IReadOnlyList<EntityKey>>([]);
    }

    public async Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation) =>
        key.Table == Sample.Orders.FullName ? (await ReadStates([new StateKey(Sample.Orders.TableId, key.Key)], cancellation))[0] : null;

    /// <summary>How many rows were read of which only the size had been asked for before.</summary>
    public int LargeReads { get; private set; }

    public async Task<FoundState[]> FindStates(IReadOnlyList<StateKey> keys, int mostBytes, CancellationToken cancellation)
    {
        Reads += keys.Count;
        var states = keys.Select(k => States.GetValueOrDefault(k)).ToArray();
        if (Gate is { } gate)
            await gate.Task;
        return [.. states.Select(s => new FoundState(s?.Row.Size ?? 0, s is null || s.Row.Size > mostBytes ? null : s))];
    }

    public async Task<EntityState?[]> ReadStates(IReadOnlyList<StateKey> keys, CancellationToken cancellation)
    {
        LargeReads += keys.Count;
        var states = keys.Select(k => States.GetValueOrDefault(k)).ToArray();
        if (Gate is { } gate)
            await gate.Task;
        return states;
    }

    public Task<IReadOnlyList<ParkedEntityState>> ReadEntities(string source, int partition, CancellationToken cancellation) =>
        Task.FromResult<IReadOnlyList<ParkedEntityState>>([.. ParkedEntities.Values]);

    public Task<IReadOnlyList<ParkedEvent>> ReadEvents(
        string source, string sink, IReadOnlyList<(EntityKey Entity, ParkedPosition After)> entities, int most, long mostBytes, CancellationToken cancellation)
    {
        ParkedReads += entities.Count;
        return Task.FromResult<IReadOnlyList<ParkedEvent>>(
            [.. entities.SelectMany(e => Parked.Where(p => p.Sink == sink && p.Event.Entity == e.Entity && p.Position > e.After).OrderBy(p => p.Position).Take(most)).Select(Read)]);
    }

    private static ParkedEvent Read(ParkedEvent parked) => parked with
    {
        Event = new SinkEvent
        {
            Topic = parked.Event.Topic, Entity = parked.Event.Entity, Key = parked.Event.Key, Value = parked.Event.Value, Source = parked.Event.Source,
            Version = parked.Event.Version, Part = parked.Event.Part, SchemaVersion = parked.Event.SchemaVersion, Origin = parked.Event.Origin is EventOrigin.Replay or EventOrigin.Backfill ? parked.Event.Origin : EventOrigin.Redelivery, Headers = parked.Event.Headers,
        },
    };

    public Task Doubt(string source, long epoch, int tableId, CancellationToken cancellation) => throw new NotSupportedException();

    public Task Truncate(string source, long epoch, int tableId, ChangeVersion version, CancellationToken cancellation)
    {
        foreach (var key in States.Where(s => s.Key.TableId == tableId && s.Value.Version <= version).Select(s => s.Key).ToList())
            States.Remove(key);
        return Task.CompletedTask;
    }

    public Task<long> RaiseEpoch(string source, string owner, long? after, CancellationToken cancellation) => Task.FromResult(1L);

    public Task FixPartitions(string source, int partitions, CancellationToken cancellation) => Task.CompletedTask;

    public Task<PartitionClaim> Claim(string source, int partition, string owner, CancellationToken cancellation) => Task.FromResult(Claim());

    public Task<IReadOnlyList<JournalHistory>> Histories(
        string source, string table, IReadOnlyList<HistoryPlace> entities, JournalWindow window, int most, long mostBytes, CancellationToken cancellation)
    {
        if (Trouble is { } trouble)
            throw trouble;
        return Task.FromResult<IReadOnlyList<JournalHistory>>([.. entities.Select(Page)]);

        JournalHistory Page(HistoryPlace place)
        {
            var after = place.Last?.Position.Version ?? ChangeVersion.None;
            List<JournalRow> page = [.. Journal.Values
                .Where(r => r.Change.Entity.Key == place.Key && r.Change.Version > after && r.Change.Version <= place.UpTo).Take(HistoryPageSize)];
            var isLast = page.Count < HistoryPageSize;
            return new JournalHistory(page, isLast ? null : place with { Last = new JournalEntry(new JournalPosition(1, page[^1].Change.Version), page[^1]) }, null);
        }
    }

    public Task<JournalPosition> Last(string source, string table, CancellationToken cancellation) => throw new NotSupportedException();

    public Task<long> Count(string source, string table, IReadOnlyList<string>? keys, JournalWindow window, CancellationToken cancellation) =>
        throw new NotSupportedException();

    public Task<JournalStarts> Starts(
        string source, string table, JournalPosition after, JournalPosition last, JournalWindow window, int most, CancellationToken cancellation) =>
        throw new NotSupportedException();
}
