using System.Threading.Channels;
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
    /// <summary>Called when the state was read; null when there is none. Any thread; must return quickly.</summary>
    void OnLoaded(EntityState? state);
}

/// <summary>
/// Reads the states of entities when they are needed for the first time. Requests of all partitions of a source that arrive during a read
/// go together into the next read. Errors of the control database are retried without end. The waiting changes are in the reader's
/// window, so their number is limited. Safe for concurrent use.
/// </summary>
internal sealed partial class StateReader : IAsyncDisposable
{
    private const int MostKeys = 1000;
    private const int LeastKeys = 16;

    /// <summary>Bytes that one read should return. The size of states is estimated from the read before.</summary>
    private const int MostBytes = 8 << 20;

    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));

    private readonly ICheckpointStore _store;
    private readonly SourceFigures _figures;
    private readonly ILogger _logger;
    private readonly Channel<StateRequest> _requests = Channel.CreateUnbounded<StateRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly ResiliencePipeline _retry;
    private readonly Task _run;

    public StateReader(ICheckpointStore store, SourceFigures figures, TimeProvider time, ILogger logger)
    {
        _store = store;
        _figures = figures;
        _logger = logger;
        _retry = Retries.Pipeline(time, (exception, wait) => LogRetry(_logger, exception.Message, wait));
        _run = Task.Run(Run);
    }

    /// <summary>Requests a state. The waiter is called when it was read.</summary>
    public void Request(IStateWaiter waiter, StateKey key) => _requests.Writer.TryWrite(new StateRequest(waiter, key));

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _stop.CancelAsync();
        await _run;
        _stop.Dispose();
    }

    private async Task Run()
    {
        var batch = new List<StateRequest>();
        var most = MostKeys;
        try
        {
            while (await _requests.Reader.WaitToReadAsync(_stop.Token))
            {
                batch.Clear();
                while (batch.Count < most && _requests.Reader.TryRead(out var request))
                    batch.Add(request);
                var keys = batch.ConvertAll(r => r.Key);
                var states = await _retry.ExecuteAsync(
                    static async (read, token) => await read._store.ReadStates(read.keys, token), (_store, keys), _stop.Token);
                _figures.StateReads(states.Length);
                most = KeysOf(states.Length, states.Sum(static s => (long)(s?.Row.Size ?? 0)));
                for (var i = 0; i < states.Length; i++)
                {
                    if (states[i] is { Absence: RowAbsence.Unreadable } unreadable)
                        Report(keys[i], unreadable);
                    batch[i].Waiter.OnLoaded(states[i]);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The silo stops. The waiting changes are streamed again.
        }
    }

    // The entity continues with its version and without a row, so its next events have only what the log has.
    private void Report(StateKey key, EntityState state)
    {
        _figures.RowsNotStored(1, new EntityKey(state.Table.FullName, key.Key), RowAbsence.Unreadable);
        LogUnreadable(_logger, state.Table.FullName, state.Version);
    }

    /// <summary>Returns the number of keys of the next read, after a read of so many keys returned so many bytes.</summary>
    internal static int KeysOf(int keys, long bytes) => (int)Math.Clamp(MostBytes * (long)keys / Math.Max(1, bytes), LeastKeys, MostKeys);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Reading entity states failed; next attempt in {Wait}: {Error}")]
    private static partial void LogRetry(ILogger logger, string error, TimeSpan wait);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The stored row of an entity of {Table} with version {Version} cannot be read: its next events have only what the log has. The control database may be damaged; the status names the entity")]
    private static partial void LogUnreadable(ILogger logger, string table, ChangeVersion version);

    private readonly record struct StateRequest(IStateWaiter Waiter, StateKey Key);
}
