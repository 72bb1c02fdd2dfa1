using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// One session of a reader, with one epoch and one stream. It sends the changes of the stream to the partitions, and computes the confirmed
/// position of the slot from their durable progress. An error of the stream or a stale epoch ends it.
/// </summary>
internal sealed partial class WalSession : IAsyncDisposable
{
    /// <summary>Longest time that a change waits for others, so that they are sent in one batch, in milliseconds.</summary>
    private const double MostLingerMs = 5;

    /// <summary>
    /// Changes in a batch for which a call is worth its cost. With the rate, this decides how long a change waits for others.
    /// </summary>
    private const int WorthwhileBatch = 8;

    private static readonly TimeSpan VerifyPatience = TimeSpan.FromSeconds(3);

    private readonly SourceConfiguration _configuration;
    private readonly IWalStream _stream;
    private readonly ICheckpointStore _store;
    private readonly IGrainFactory _grains;
    private readonly AckTracker _tracker;
    private readonly PartitionLink[] _links;
    private readonly SessionWindow _window;
    private readonly CancellationTokenSource _stop;
    private readonly Lock _gate = new();
    private readonly ITimer _flushTimer;
    private readonly ITimer _verifyTimer;
    private readonly TimeProvider _time;
    private readonly RateMeter _rate;
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _pending;
    private long _flushedAt;
    private bool _timerIsSet;
    private bool _afterTruncate;
    private EntityState? _oldRow;

    // Whether the next position belongs to a non-transactional message, and not to a heartbeat.
    private bool _isMessage;
    private readonly SessionWait _wait;

    public WalSession(
        SourceConfiguration configuration, IWalStream stream, ICheckpointStore store, long epoch, Lsn confirmed, IGrainFactory grains, TimeProvider time,
        ILogger logger, CancellationToken stopping)
    {
        _configuration = configuration;
        _stream = stream;
        _store = store;
        _grains = grains;
        _time = time;
        Times = new ReaderTimes(time);
        Epoch = epoch;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _tracker = new AckTracker(configuration.Partitions, confirmed);
        _window = new SessionWindow(configuration.WindowChanges, configuration.WindowBytes, time);
        _rate = new RateMeter(time);
        _wait = new SessionWait(configuration.Name, time, logger);
        _links = new PartitionLink[configuration.Partitions];
        for (var i = 0; i < _links.Length; i++)
            _links[i] = new PartitionLink(this, i, grains.GetGrain<IPartitionGrain>(PartitionKey.For(configuration.Name, i)), time, logger);
        _flushTimer = time.CreateTimer(static session => ((WalSession)session!).OnFlushTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _verifyTimer = time.CreateTimer(static session => ((WalSession)session!).Verify(), this, VerifyPatience, VerifyPatience);
    }

    /// <summary>The epoch of the session.</summary>
    public long Epoch { get; }

    /// <summary>Name of the source.</summary>
    public string Source => _configuration.Name;

    /// <summary>Returns the grain of an entity of the source.</summary>
    public IEntityGrain Entity(EntityKey key) => _grains.GetGrain<IEntityGrain>(new EntityId(Source, key).ToString());

    /// <summary>Cancelled when the session ends.</summary>
    public CancellationToken Stopping => _stop.Token;

    /// <summary>Fails when the session must end: a partition reports that a newer reader exists.</summary>
    public Task Failed => _failed.Task;

    /// <summary>The last position read.</summary>
    public Lsn Received { get; private set; }

    /// <summary>Commit of the newest change that was sent to a partition, and so may have been delivered.</summary>
    public Lsn Sent { get; private set; }

    /// <summary>The confirmed position.</summary>
    public Lsn Confirmed
    {
        get
        {
            lock (_gate)
                return _tracker.Confirmed;
        }
    }

    /// <summary>Changes read.</summary>
    public long Changes { get; private set; }

    /// <summary>Transactions read.</summary>
    public long Transactions { get; private set; }

    /// <summary>Heartbeats read.</summary>
    public long Heartbeats { get; private set; }

    /// <summary>Measures how long changes take to get here, and from here to their partitions.</summary>
    public ReaderTimes Times { get; init; }

    /// <summary>The window.</summary>
    public SessionWindow Window => _window;

    /// <summary>Largest change, in bytes, that can be sent to a partition in one message.</summary>
    public int MostOfChange { get; init; } = MessageLimits.MostOfChange;

    /// <summary>How long reading has been waiting, for room in the window or for an answer; zero when it is not waiting.</summary>
    public TimeSpan HoldingFor => _wait.WaitingFor is { Ticks: > 0 } waiting ? waiting : _window.FullFor;

    /// <summary>What reading waits for, as a sentence; null when it waits for room in the window, or does not wait.</summary>
    public string? HoldingReason => _wait.Reason;

    /// <summary>Changes read per second, over the last seconds.</summary>
    public double ChangesPerSecond => _rate.PerSecond(Changes);

    /// <summary>Age of the oldest commit that is not durable yet; zero when there is none.</summary>
    public TimeSpan Lag
    {
        get
        {
            long? oldest;
            lock (_gate)
                oldest = _tracker.OldestCommitMicros;
            if (oldest is not { } micros)
                return TimeSpan.Zero;
            var age = _time.GetUtcNow() - DateTimeOffset.UnixEpoch.AddTicks(micros * 10);
            return age > TimeSpan.Zero ? age : TimeSpan.Zero;
        }
    }

    /// <summary>Opens every partition. This activates all of them, and they return their durable progress.</summary>
    public void Start()
    {
        foreach (var link in _links)
            link.Flush();
    }

    /// <summary>Reads until it is cancelled or fails.</summary>
    /// <exception cref="CaptureException">The stream failed, or a change is too large for a message.</exception>
    public async Task Read(CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var read = _stream.Read(_stop.Token);
            WalItem item;
            if (read.IsCompleted)
            {
                item = await read;
            }
            else
            {
                BeforeWait();
                item = await Arrived(read.AsTask(), cancellation);
            }

            switch (item.Kind)
            {
                case WalItemKind.Change:
                    var change = item.Change!;
                    Changes++;
                    _isMessage = change.Operation == ChangeOperation.Message;
                    if (_afterTruncate || change.Operation == ChangeOperation.Truncate)
                        await Barrier(change, cancellation);
                    if (change.Operation == ChangeOperation.Truncate)
                    {
                        await Truncate(change, cancellation);
                        break;
                    }

                    if (change.OtherRow.IsPresent)
                        change = await Moved(change, cancellation);
                    if (change.Size > MostOfChange)
                        throw TooLarge(change);
                    if (!_window.TryEnter(change.Size))
                        await EnterWindow(change.Size, cancellation);
                    Dispatch(change, change.Entity.Partition(_links.Length));
                    break;
                case WalItemKind.Forget:
                    await Forget(item.Forgotten!, cancellation);
                    break;
                case WalItemKind.Commit:
                    Transactions++;
                    _isMessage = false;
                    Ended(item.EndLsn, static (tracker, end) => tracker.Committed(end));
                    break;
                case WalItemKind.Position:
                    if (!_isMessage)
                        Heartbeats++;
                    _isMessage = false;
                    Ended(item.EndLsn, static (tracker, end) => tracker.Reached(end));
                    break;
            }
        }
    }

    /// <summary>Waits until everything read so far is durable and confirmed.</summary>
    public async Task Drain(CancellationToken cancellation)
    {
        FlushNow();
        await _window.WhenEmpty(cancellation);
        await _stream.SendFeedback(cancellation);
    }

    /// <summary>Accepts the durable progress of a partition.</summary>
    public void Progressed(int partition, ChangeVersion progress)
    {
        var (changes, bytes) = _links[partition].Release(progress);
        lock (_gate)
        {
            if (_tracker.Progressed(partition, progress))
                _stream.Confirm(_tracker.Confirmed);
        }

        _window.Leave(changes, bytes);
    }

    /// <summary>
    /// Accepts a report of durable progress. It ignores what was reported for an earlier reader, or by an earlier activation of a partition:
    /// the answer to <see cref="IPartitionGrain.Open"/> is newer, and the source may have been reset in between.
    /// </summary>
    public void Progressed(ProgressReport report)
    {
        if (report.Epoch < Epoch)
            return;
        foreach (var partition in report.Partitions)
        {
            if (partition.Partition < _links.Length && !_links[partition.Partition].IsStale(partition.Generation))
                Progressed(partition.Partition, partition.Progress);
        }
    }

    /// <summary>Ends the session with an error.</summary>
    public void Fail(Exception exception) => _failed.TrySetException(exception);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _flushTimer.DisposeAsync();
        await _verifyTimer.DisposeAsync();
        await _stream.DisposeAsync();
    }

    // Waits for a read without cancelling it. Cancelling it would end the stream, and the stream must still report to the server what
    // became durable. An item that arrives later is dropped here and is streamed again.
    private static async Task<WalItem> Arrived(Task<WalItem> reading, CancellationToken cancellation)
    {
        try
        {
            return await reading.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            _ = reading.ContinueWith(static r => r.Exception, TaskScheduler.Default);
            throw;
        }
    }

    private static CaptureException TooLarge(RowChange change) => new(
        $"{change} (associated LSN {change.Lsn}) is of {change.Size} bytes, old and new row together, and cannot be sent to its partition. "
        + "Remedy: lower large_values.limit so that its longest values are left out, and start again.",
        transient: false);

    private bool StoresRows(TableSchema table) =>
        (_configuration.Select(table.Schema, table.Name)?.Entities ?? EntityMode.Row) == EntityMode.Row;

    private bool IsDurable(int partition, ChangeVersion version)
    {
        lock (_gate)
            return version <= _tracker.ProgressOf(partition);
    }

    private void Dispatch(RowChange change, int partition)
    {
        lock (_gate)
        {
            _tracker.Dispatched(partition, change.Version, change.Transaction.CommitMicros);
            if (change.Version <= _tracker.ProgressOf(partition))
            {
                // It was streamed again after a restart, and is already durable.
                _window.Leave(1, change.Size);
                return;
            }
        }

        _links[partition].Add(change);
        Received = change.Lsn;
        Sent = change.Version.CommitLsn;
        _rate.Count(1);
        if (++_pending >= _links.Length * 64)
            FlushNow();
    }

    private void Ended(Lsn end, Action<AckTracker, Lsn> record)
    {
        Received = end;
        lock (_gate)
        {
            var before = _tracker.Confirmed;
            record(_tracker, end);
            if (_tracker.Confirmed != before)
                _stream.Confirm(_tracker.Confirmed);
        }
    }

    // No more data has arrived. At a low rate, send the pending changes at once. At a high rate, wait up to a few milliseconds, so that
    // each batch is worth its call.
    private void BeforeWait()
    {
        if (_pending == 0)
            return;
        var linger = Math.Min(MostLingerMs, _rate.Recent * MostLingerMs / (WorthwhileBatch * _links.Length * 1000 / MostLingerMs));
        if (linger < 0.5 || _time.GetElapsedTime(_flushedAt).TotalMilliseconds >= linger)
        {
            FlushNow();
        }
        else if (!_timerIsSet)
        {
            _timerIsSet = true;
            _flushTimer.Change(TimeSpan.FromMilliseconds(linger), Timeout.InfiniteTimeSpan);
        }
    }

    // Runs on the timer's thread. Links may be flushed from any thread, and the counter is only a hint for the reading thread.
    private void OnFlushTimer()
    {
        _timerIsSet = false;
        FlushNow();
    }

    private void FlushNow()
    {
        _pending = 0;
        _flushedAt = _time.GetTimestamp();
        foreach (var link in _links)
            link.Flush();
    }

    private async ValueTask EnterWindow(int size, CancellationToken cancellation)
    {
        FlushNow();
        await _window.Enter(size, cancellation);
    }

    private void Verify()
    {
        foreach (var link in _links)
            link.Verify(VerifyPatience);
    }
}
