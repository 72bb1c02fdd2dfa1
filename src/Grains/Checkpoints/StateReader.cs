using System.Threading.Channels;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Polly;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>Receives a state that it has requested.</summary>
internal interface IStateWaiter
{
    /// <summary>Called when the state was read. Any thread; must return quickly.</summary>
    /// <param name="state">The state; null when there is none.</param>
    /// <param name="room">Bytes reserved in the <see cref="MemoryBudget"/> for the apply. The waiter gives them back.</param>
    void OnLoaded(EntityState? state, long room);
}

/// <summary>
/// Reads the states of entities when they are needed for the first time. Requests of all partitions of a source that arrive during a read
/// go together into the next read. Errors of the control database are retried without end. The waiting changes are in the reader's
/// window, so their number is limited. Safe for concurrent use.
/// <para>
/// A read returns small states at once, and of large ones only their size. A large state is read when there is room for it and for its apply
/// in the memory budget. So requests that wait for room have nothing in memory but their keys. They wait in their order.
/// </para>
/// </summary>
internal sealed partial class StateReader : IAsyncDisposable
{
    private const int MostKeys = 1000;

    /// <summary>Larger rows are not returned before there is room for them.</summary>
    private const int MostOfSmall = 8 << 10;

    /// <summary>Bytes of large states after which a read asks for no more.</summary>
    private const int MostBytes = 8 << 20;

    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));

    private readonly ICheckpointStore _store;
    private readonly MemoryBudget _memory;
    private readonly SourceFigures _figures;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<StateRequest> _requests = Channel.CreateUnbounded<StateRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly ResiliencePipeline _retry;

    // Requests of the current read whose states are small, or do not exist; those whose states are large and have room.
    private readonly Queue<StateRequest> _asked = new();
    private readonly List<(StateRequest Request, long Room)> _large = [];
    private readonly Task _run;
    private long _largeBytes;

    /// <param name="store">The control database.</param>
    /// <param name="memory">The memory budget of the source.</param>
    /// <param name="figures">The figures of the source.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Its log.</param>
    /// <param name="scheduler">Where it runs; null for the thread pool.</param>
    public StateReader(ICheckpointStore store, MemoryBudget memory, SourceFigures figures, TimeProvider time, ILogger logger, TaskScheduler? scheduler = null)
    {
        _store = store;
        _memory = memory;
        _figures = figures;
        _time = time;
        _logger = logger;
        _retry = Retries.Pipeline(time, (exception, wait) => LogRetry(_logger, exception.Message, wait));
        _run = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler ?? TaskScheduler.Default).Unwrap();
    }

    /// <summary>Requests the state of an entity for the apply of a change. The waiter is called when it was read.</summary>
    public void Request(IStateWaiter waiter, RowChange change, TablePlan plan) =>
        _requests.Writer.TryWrite(new StateRequest(waiter, new StateKey(change.Table.TableId, change.Entity.Key), change, plan));

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _stop.CancelAsync();
        await _run;
        _stop.Dispose();
    }

    private async Task Run()
    {
        for (var failures = 0; !_stop.IsCancellationRequested;)
        {
            try
            {
                while (_asked.Count > 0 || await _requests.Reader.WaitToReadAsync(_stop.Token))
                {
                    while (_asked.Count < MostKeys && _requests.Reader.TryRead(out var request))
                        _asked.Enqueue(request);
                    await Find(_stop.Token);
                    failures = 0;
                }

                return;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The silo stops. The waiting changes are streamed again.
                return;
            }
#pragma warning disable CA1031 // Without this loop no state would be read any more. Requests that were not answered are in the queue, or put back.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                PutBack();
                var wait = Retries.After(++failures);
                LogRetry(_logger, exception.Message, wait);
                await Task.Delay(wait, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    // The entity continues with its version and without a row, so its next events have only what the log has.
    private void Report(StateKey key, EntityState? state)
    {
        if (state is not { Absence: RowAbsence.Unreadable })
            return;
        _figures.RowsNotStored(1, new EntityKey(state.Table.FullName, key.Key), RowAbsence.Unreadable);
        LogUnreadable(_logger, state.Table.FullName, state.Version);
    }

    // Asks for the states of the requests. Answers those with small states, and reads the large ones as far as there is room.
    private async Task Find(CancellationToken cancellation)
    {
        var keys = _asked.Select(r => r.Key).ToArray();
        var found = await _retry.ExecuteAsync(
            static async (ask, token) => await ask._store.FindStates(ask.keys, MostOfSmall, token), (_store, keys), cancellation);
        _figures.StateReads(found.Length);
        for (var i = 0; i < found.Length; i++)
        {
            var request = _asked.Peek();
            var (bytes, state) = found[i];
            found[i] = default;
            var room = request.Plan.RoomFor(bytes, request.Change);
            _large.EnsureCapacity(_large.Count + 1);
            if (room <= MemoryBudget.Free)
                room = 0;
            else if (!_memory.TryTake(room))
                await Room(room, cancellation);
            _asked.Dequeue();
            if (state is not null || bytes == 0)
            {
                Report(request.Key, state);
                request.Waiter.OnLoaded(state, room);
                continue;
            }

            _large.Add((request, room));
            _largeBytes += bytes;
            if (_largeBytes >= MostBytes)
                await ReadLarge(cancellation);
        }

        await ReadLarge(cancellation);
    }

    private async Task ReadLarge(CancellationToken cancellation)
    {
        if (_large.Count == 0)
            return;
        var keys = _large.ConvertAll(r => r.Request.Key);
        var states = await _retry.ExecuteAsync(
            static async (read, token) => await read._store.ReadStates(read.keys, token), (_store, keys), cancellation);
        _largeBytes = 0;
        for (var i = 0; i < states.Length; i++)
        {
            var (request, room) = _large[i];
            _large[i] = default;
            Report(request.Key, states[i]);
            request.Waiter.OnLoaded(states[i], room);
        }

        _large.Clear();
    }

    // First reads what has room already: who waits for room holds none.
    private async Task Room(long room, CancellationToken cancellation)
    {
        await ReadLarge(cancellation);
        var waiter = new RoomWaiter(cancellation);
        if (!_memory.TryTake(waiter, room))
            await waiter.Task.WaitAsync(cancellation);
    }

    // Those that have an answer are not here any more, or have no waiter any more.
    private void PutBack()
    {
        foreach (var (request, room) in _large)
        {
            if (request.Waiter is null)
                continue;
            _memory.Give(room);
            _asked.Enqueue(request);
        }

        _large.Clear();
        _largeBytes = 0;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Reading entity states failed; next attempt in {Wait}: {Error}")]
    private static partial void LogRetry(ILogger logger, string error, TimeSpan wait);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The stored row of an entity of {Table} with version {Version} cannot be read: its next events have only what the log has. The control database may be damaged; the status names the entity")]
    private static partial void LogUnreadable(ILogger logger, string table, ChangeVersion version);

    private readonly record struct StateRequest(IStateWaiter Waiter, StateKey Key, RowChange Change, TablePlan Plan);

    private sealed class RoomWaiter(CancellationToken stop) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), IRoomWaiter
    {
        public bool OnRoom(long bytes) => !stop.IsCancellationRequested && TrySetResult();
    }
}
