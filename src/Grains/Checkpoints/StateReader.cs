using System.Threading.Channels;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;
using Polly;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>Somebody who waits for a state.</summary>
internal interface IStateWaiter
{
    /// <summary>The state was read; null when there is none. Any thread; quick.</summary>
    void OnLoaded(EntityState? state);
}

/// <summary>
/// Reads the states of entities at their first touch: what all partitions of a source ask for meanwhile goes into one read.
/// Trouble with the control database is retried for as long as it takes; the entities wait, within the reader's window.
/// </summary>
internal sealed partial class StateReader : IAsyncDisposable
{
    private const int MostKeys = 1000;
    private const int LeastKeys = 16;

    /// <summary>Bytes that a read should bring; how large states are is known from those before.</summary>
    private const int MostBytes = 8 << 20;

    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));

    private readonly ICheckpointStore _store;
    private readonly SourceFigures _figures;
    private readonly ILogger _logger;
    private readonly Channel<FirstTouch> _requests = Channel.CreateUnbounded<FirstTouch>(new UnboundedChannelOptions { SingleReader = true });
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

    /// <summary>Asks for a state.</summary>
    public void Request(IStateWaiter waiter, StateKey key) => _requests.Writer.TryWrite(new FirstTouch(waiter, key));

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _stop.CancelAsync();
        await _run;
        _stop.Dispose();
    }

    private async Task Run()
    {
        var batch = new List<FirstTouch>();
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
                    batch[i].Waiter.OnLoaded(states[i]);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The silo stops; the waiting entities are streamed again by the next owner of their partitions.
        }
    }

    /// <summary>Keys of the next read, after one of so many keys brought so many bytes.</summary>
    internal static int KeysOf(int keys, long bytes) => (int)Math.Clamp(MostBytes * (long)keys / Math.Max(1, bytes), LeastKeys, MostKeys);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Reading entity states failed and is tried again in {Wait}: {Error}")]
    private static partial void LogRetry(ILogger logger, string error, TimeSpan wait);

    private readonly record struct FirstTouch(IStateWaiter Waiter, StateKey Key);
}
