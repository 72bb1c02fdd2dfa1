using CdcOrleans.Grains.Entities;
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
/// One unbroken stretch of reading under one epoch: from the stream to the partitions, and from their durable progress to the slot's
/// confirmed position. A broken stream or a stale epoch ends it; the reader then begins a new one.
/// </summary>
internal sealed class WalSession : IAsyncDisposable
{
    /// <summary>Longest that a change waits for company while more keep coming.</summary>
    private const double MostLingerMs = 5;

    /// <summary>Changes per partition and batch that make a call worth its cost; decides how long to linger at a given rate.</summary>
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
    private EntityState? _moving;

    // Whether a position that follows is that of a message outside transactions, and no heartbeat.
    private bool _isAlone;
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

    public long Epoch { get; }

    public string Source => _configuration.Name;

    /// <summary>An entity of the source.</summary>
    public IEntityGrain Entity(EntityKey key) => _grains.GetGrain<IEntityGrain>(new EntityId(Source, key).ToString());

    /// <summary>Cancelled when the session ends.</summary>
    public CancellationToken Stopping => _stop.Token;

    /// <summary>Fails when a partition says that a newer reader exists.</summary>
    public Task Failed => _failed.Task;

    public Lsn Received { get; private set; }

    public Lsn Confirmed
    {
        get
        {
            lock (_gate)
                return _tracker.Confirmed;
        }
    }

    public long Changes { get; private set; }

    public long Transactions { get; private set; }

    public long Heartbeats { get; private set; }

    public SessionWindow Window => _window;

    /// <summary>Bytes of a change beyond which no message could bear it to its partition.</summary>
    public int MostOfChange { get; init; } = MessageLimits.MostOfChange;

    /// <summary>How long reading has been waiting, for room or for an answer; zero when it is not.</summary>
    public TimeSpan Held => _wait.Held is { Ticks: > 0 } waiting ? waiting : _window.Held;

    /// <summary>What reading waits for, in words; null when that is room in the window, or nothing.</summary>
    public string? HeldFor => _wait.Reason;

    public double ChangesPerSecond => _rate.PerSecond(Changes);

    /// <summary>Age of the oldest commit that is not durable yet.</summary>
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

    /// <summary>Opens every partition, so that all of them wake and their durable progress is known.</summary>
    public void Start()
    {
        foreach (var link in _links)
            link.Flush();
    }

    /// <summary>Reads until cancelled or broken.</summary>
    /// <exception cref="CaptureException">The stream broke.</exception>
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
                    _isAlone = change.Operation == ChangeOperation.Message;
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
                        await Hold(change.Size, cancellation);
                    Dispatch(change, change.Entity.Partition(_links.Length));
                    break;
                case WalItemKind.Forget:
                    await Forget(item.Forgotten!, cancellation);
                    break;
                case WalItemKind.Commit:
                    Transactions++;
                    _isAlone = false;
                    Ended(item.EndLsn, static (tracker, end) => tracker.Committed(end));
                    break;
                case WalItemKind.Position:
                    if (!_isAlone)
                        Heartbeats++;
                    _isAlone = false;
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

    /// <summary>Durable progress of a partition.</summary>
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

    /// <summary>Takes a report of durable progress.</summary>
    public void Progressed(ProgressReport report)
    {
        foreach (var partition in report.Partitions)
        {
            if (partition.Partition < _links.Length)
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

    // Cancelling a read ends the stream, which has yet to tell the server what became durable: who stops reading leaves it alone, and
    // what arrives all the same is streamed again.
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

    // A truncation stands between what came before it, in whichever partition, and what comes after: nothing overtakes it. Several in
    // a row need no barrier between them.
    private async ValueTask Barrier(RowChange next, CancellationToken cancellation)
    {
        if (_afterTruncate && next.Operation == ChangeOperation.Truncate)
            return;
        await Settled(cancellation);
        _afterTruncate = false;
    }

    private async ValueTask Settled(CancellationToken cancellation)
    {
        FlushNow();
        await _window.WhenEmpty(cancellation);
    }

    // Everything before it is durable: what is stored of the table's entities goes, then what partitions hold of them.
    private async Task Truncate(RowChange change, CancellationToken cancellation)
    {
        await _wait.ForStore(
            $"the states of {change.Table.FullName}, which was truncated, to be forgotten",
            token => _store.Truncate(Source, Epoch, change.Table.TableId, change.Version, token), cancellation);
        for (var partition = 0; partition < _links.Length; partition++)
        {
            if (!_window.TryEnter(change.Size))
                await Hold(change.Size, cancellation);
            Dispatch(change, partition);
        }

        _afterTruncate = true;
    }

    // The rows of these tables go by other keys or names from here on, or were not followed for a while. What went the old way must not
    // be overtaken; then what is stored of them goes, then what partitions hold. Read again after a crash, this is done again, and what
    // is newer stays.
    private async Task Forget(ForgottenTables forgotten, CancellationToken cancellation)
    {
        await Settled(cancellation);
        int[] tables = [.. forgotten.Tables];
        foreach (var table in tables)
        {
            await _wait.ForStore(
                "states that are not true any more to be forgotten", token => _store.Truncate(Source, Epoch, table, forgotten.Version, token), cancellation);
        }

        await Task.WhenAll(_links.Select(link => link.Forget(tables, cancellation)));
    }

    // A row moves to another key: it is deleted under the old one, and what comes next creates it under the new one. Large values that
    // were not touched are not in the log; who holds them is the entity of the old key, before it is told of the deletion.
    private async ValueTask<RowChange> Moved(RowChange change, CancellationToken cancellation)
    {
        if (change.Operation == ChangeOperation.Create)
        {
            var completed = _moving is null ? change : change with { After = ImageCompletion.After(change, _moving) };
            _moving = null;
            return completed;
        }

        _moving = null;
        var partition = change.Entity.Partition(_links.Length);
        if (!change.OtherRow.HasUnchanged || !HoldsRows(change.Table) || IsDurable(partition, change.Version))
            return change;

        // The entity may wait for a slow sink: what was read for others must not wait with it.
        FlushNow();
        var held = await _wait.For($"a row of {change.Table.FullName} that moved to another key", _links[partition].ReadRow(change.Entity, cancellation));
        if (held.Table is not null && held.Version < change.Version)
            _moving = new EntityState(held.Version, held.Table, held.Row, false);
        return change;
    }

    private static CaptureException TooLarge(RowChange change) => new(
        $"{change} (associated LSN {change.Lsn}) is of {change.Size} bytes, old and new row together, and cannot be sent to its partition. "
        + "Remedy: lower large_values.limit so that its longest values are left out, and start again.",
        transient: false);

    private bool HoldsRows(TableSchema table) =>
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
                // Streamed again after a restart, and durable already.
                _window.Leave(1, change.Size);
                return;
            }
        }

        _links[partition].Add(change);
        Received = change.Lsn;
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

    // The socket is empty. At a low rate what is pending leaves at once; at a high one it waits up to a few milliseconds, so that
    // batches are worth a call each.
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

    // Links are safe to flush from the timer's thread; the counter is only a hint for the reading thread.
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

    private async ValueTask Hold(int size, CancellationToken cancellation)
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
