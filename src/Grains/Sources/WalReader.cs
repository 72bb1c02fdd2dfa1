using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Placement;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Keeps one source streaming. It prepares the source, raises the epoch and runs a session; after an error it does this again. It runs on
/// the thread pool and is controlled by <see cref="WalReaderGrain"/>.
/// </summary>
internal sealed partial class WalReader : IAsyncDisposable
{
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(5));

    /// <summary>Time between two attempts when a person must act. After that, it continues by itself.</summary>
    private static readonly TimeSpan FailedPause = TimeSpan.FromSeconds(10);

    /// <summary>After a session that lasted longer, the waits between attempts start again with the shortest.</summary>
    private static readonly TimeSpan LastingSession = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long stopping waits until the server has the last confirmed position. What the server does not confirm is streamed again.
    /// </summary>
    private static readonly TimeSpan ConfirmPatience = TimeSpan.FromSeconds(1);

    /// <summary>Time after which the counters of a silo that does not report any more leave the status. A silo reports every second.</summary>
    private static readonly TimeSpan FiguresLifetime = TimeSpan.FromSeconds(30);

    /// <summary>Most tables that are left out and named in the status.</summary>
    private const int MostLeftOut = 100;

    /// <summary>Time between two attempts to start backfills.</summary>
    private static readonly TimeSpan StartInterval = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan PositionsInterval = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Time between two checks of the publication and the tables. Changes of a new table are missed for this long at most.
    /// </summary>
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(5);

    private readonly SourceConfiguration _configuration;
    private readonly ISourceCapture _capture;
    private readonly ICheckpointStore _store;
    private readonly IConfirmedPositions _positions;
    private readonly IGrainFactory _grains;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _silo;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _stopReading = new();
    private readonly Dictionary<string, (SiloFigures Figures, long At)> _silos = [];
    private readonly ReaderTimes _times;
    private readonly Task _run;
    private volatile WalSession? _session;
    private volatile string? _detail;
    private volatile int _state = (int)SourceState.Starting;
    private SourcePositions _serverPositions;

    private long _startAt;

    // Captured tables whose first backfill may have to be started.
    private List<string> _joined = [];
    private Task<string[]> _starting = Task.FromResult<string[]>([]);
    private Lsn _lastConfirmed;
    private Lsn _lastSent;
    private long? _epoch;

    public WalReader(
        SourceConfiguration configuration, ISourceCapture capture, ICheckpointStore store, IConfirmedPositions positions, IGrainFactory grains,
        TimeProvider time, ILogger logger, string silo)
    {
        _configuration = configuration;
        _capture = capture;
        _store = store;
        _positions = positions;
        _grains = grains;
        _time = time;
        _times = new ReaderTimes(time);
        _logger = logger;
        _silo = silo;
        _run = Task.Run(Run);
    }

    /// <summary>Completes when the reader has ended: it was stopped, or a newer reader exists.</summary>
    public Task Ended => _run;

    /// <summary>Accepts the durable progress and the counters of a silo.</summary>
    public void Report(ProgressReport report)
    {
        lock (_silos)
            _silos[report.Silo] = (report.Figures, _time.GetTimestamp());
        _session?.Progressed(report);
    }

    /// <summary>Writes a heartbeat, while it streams.</summary>
    public Task WriteHeartbeat() => _session is null ? Task.CompletedTask : _capture.Heartbeat(_stop.Token);

    /// <summary>Returns the status of the source.</summary>
    public SourceStatus Status()
    {
        var session = _session;
        var confirmed = session?.Confirmed ?? _lastConfirmed;
        var silos = Silos();
        var state = (SourceState)_state;
        var detail = state == SourceState.Starting ? _capture.Waiting ?? _detail : _detail;
        if (state == SourceState.Streaming && session is not null && session.HoldingFor > TimeSpan.FromSeconds(1))
        {
            state = SourceState.Holding;
            detail = session.HoldingReason ?? HoldingReason.Of(silos.Values);
        }

        return new SourceStatus
        {
            Source = _configuration.Name,
            State = state,
            Detail = detail,
            Silo = _silo,
            Epoch = _epoch ?? 0,
            Slot = _configuration.Slot,
            ServerLsn = _serverPositions.ServerLsn,
            ReceivedLsn = session?.Received ?? Lsn.None,
            ConfirmedLsn = confirmed,
            LagBytes = _serverPositions.ServerLsn > confirmed && !confirmed.IsNone ? (long)(_serverPositions.ServerLsn.Value - confirmed.Value) : 0,
            LagSeconds = session?.Lag.TotalSeconds ?? 0,
            RetainedBytes = _serverPositions.RetainedBytes,
            WindowChanges = session?.Window.Changes ?? 0,
            WindowChangesLimit = _configuration.WindowChanges,
            WindowBytes = session?.Window.Bytes ?? 0,
            WindowBytesLimit = _configuration.WindowBytes,
            Changes = session?.Changes ?? 0,
            Transactions = session?.Transactions ?? 0,
            ChangesPerSecond = session?.ChangesPerSecond ?? 0,
            Heartbeats = session?.Heartbeats ?? 0,
            Partitions = _configuration.Partitions,
            Silos = silos,
            LeftOut = [.. _capture.LeftOut.Take(MostLeftOut)],
            Reads = _times.Reads,
            Dispatches = _times.Dispatches,
        };
    }

    /// <summary>Stops reading, waits until what was read is durable and confirmed, and ends.</summary>
    /// <param name="patience">Longest time; what is not durable by then is streamed again.</param>
    public async Task Stop(TimeSpan patience)
    {
        using var timeout = new CancellationTokenSource(patience, _time);
        await _stopReading.CancelAsync();
        if (_session is { } session)
        {
            try
            {
                await session.Drain(timeout.Token);
                await Confirmed(session.Confirmed, timeout.Token);
            }
#pragma warning disable CA1031 // It ends in any case. What is not confirmed is streamed again.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                LogUndrained(_logger, _configuration.Name, session.Window.Changes, exception.Message);
            }
        }

        await _stop.CancelAsync();
        await _run;
        _state = (int)SourceState.Stopped;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopReading.CancelAsync();
        await _stop.CancelAsync();
        await _run;
        await _capture.DisposeAsync();
        _stop.Dispose();
        _stopReading.Dispose();
    }

    // The server reads feedback only between two messages that it sends. It does not read any after the stream has ended.
    private async Task Confirmed(Lsn position, CancellationToken cancellation)
    {
        for (var started = _time.GetTimestamp(); _time.GetElapsedTime(started) < ConfirmPatience;)
        {
            if ((await _capture.Positions(cancellation)).ConfirmedLsn >= position)
                return;
            await Task.Delay(TimeSpan.FromMilliseconds(5), _time, cancellation);
        }
    }

    private async Task Run()
    {
        var failures = 0;
        while (!_stop.IsCancellationRequested)
        {
            var started = _time.GetTimestamp();
            TimeSpan pause;
            try
            {
                await RunSession();
                return;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is StaleReaderException or StaleOwnerException)
            {
                LogStale(_logger, _configuration.Name, exception.Message);
                SetState(SourceState.Stopped, "A newer reader of this source took over.");
                return;
            }
            catch (CaptureException exception) when (!exception.Transient)
            {
                LogFailed(_logger, _configuration.Name, exception.Message);
                SetState(SourceState.Failed, exception.Message);
                pause = FailedPause;
            }
#pragma warning disable CA1031 // The source must continue by itself after any error that passes.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failures = _time.GetElapsedTime(started) > LastingSession ? 1 : failures + 1;
                pause = Retries.After(failures);
                LogRetry(_logger, _configuration.Name, exception.Message, pause);
                SetState(SourceState.Retrying, exception.Message);
            }

            await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RunSession()
    {
        var token = _stop.Token;
        var facts = await _capture.Prepare(
            async cancellation => (await _positions.Find(_configuration.Name, cancellation))?.WithDelivered(_lastSent), token);
        await _store.FixPartitions(_configuration.Name, _configuration.Partitions, token);

        // The first epoch is raised without a condition. Later ones must follow our own epoch: if another reader has raised it meanwhile,
        // this reader is stale.
        _epoch = await _store.RaiseEpoch(_configuration.Name, _silo, _epoch, token);
        if (await _capture.EndStaleReader(token))
            LogEndedStale(_logger, _configuration.Name);
        if (facts.Gap is { } gap)
            await Reset(gap, facts, token);
        await Mark(facts.ConfirmedLsn, token);
        var stream = await _capture.Stream(Mark, token);

        // A position lower than the one at which this session started is never stored.
        Task Mark(Lsn confirmed, CancellationToken cancellation) =>
            _positions.Set(_configuration.Name, _epoch.Value, facts.Log, confirmed > facts.ConfirmedLsn ? confirmed : facts.ConfirmedLsn, cancellation);

        await using var session = new WalSession(
            _configuration, stream, _store, _epoch.Value, facts.ConfirmedLsn, _grains, _time, _logger, token)
        {
            Times = _times,
        };
        session.Start();
        _session = session;
        _joined = [.. facts.Tables];
        _starting = Task.FromResult<string[]>([]);
        _startAt = 0;
        SetState(SourceState.Streaming, null);
        LogStreaming(_logger, _configuration.Name, _epoch.Value, facts.ConfirmedLsn);
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(token, _stopReading.Token);
        try
        {
            var read = session.Read(reading.Token);
            var watching = HeartbeatAndWatch(reading.Token);
            await await Task.WhenAny(read, session.Failed, watching);
        }
        catch (OperationCanceledException) when (_stopReading.IsCancellationRequested)
        {
            // Stopping: the session stays open until Stop has drained it.
            await Task.Delay(Timeout.InfiniteTimeSpan, _time, token);
        }
        finally
        {
            await reading.CancelAsync();
            _lastConfirmed = session.Confirmed;
            if (session.Sent > _lastSent)
                _lastSent = session.Sent;
            _session = null;
        }
    }

    // A person has accepted the gap. The stored rows may lack changes, and stored positions may belong to another log. So both are deleted,
    // or a repair will tell what differs from the stored rows.
    private async Task Reset(string gap, CaptureFacts facts, CancellationToken cancellation)
    {
        LogReset(_logger, _configuration.Name, gap, facts.ConfirmedLsn);
        List<string> repaired = [.. facts.Tables.Where(IsRepaired)];
        await _positions.Reset(_configuration.Name, _epoch!.Value, facts.Log, facts.ConfirmedLsn, repaired, cancellation);
        _lastSent = Lsn.None;
        for (var partition = 0; partition < _configuration.Partitions; partition++)
            await _grains.GetGrain<IPartitionGrain>(PartitionKey.For(_configuration.Name, partition)).Reset(_epoch.Value);
    }

    private bool IsRepaired(string table) => _configuration.Select(table) is { Entities: EntityMode.Row } selection
        && (selection.Backfill ?? _configuration.Backfill).Mode == BackfillMode.WhenNeeded;

    // Writes heartbeats, reads the server's positions, and checks the publication and the tables. It does not complete without an error.
    // A transient error does not end the session: if the server fails, the stream reports it. A permanent error ends the session, for
    // example a publication that lacks a table.
    private async Task HeartbeatAndWatch(CancellationToken cancellation)
    {
        var lastHeartbeat = _time.GetTimestamp();
        var lastWatch = lastHeartbeat;
        using var timer = new PeriodicTimer(PositionsInterval, _time);
        do
        {
            try
            {
                if (_configuration.HeartbeatInterval > TimeSpan.Zero && _time.GetElapsedTime(lastHeartbeat) >= _configuration.HeartbeatInterval)
                {
                    lastHeartbeat = _time.GetTimestamp();
                    await _capture.Heartbeat(cancellation);
                }

                _serverPositions = await _capture.Positions(cancellation);
                StartBackfills(cancellation);
                if (_time.GetElapsedTime(lastWatch) >= WatchInterval)
                {
                    lastWatch = _time.GetTimestamp();
                    await Watch(cancellation);
                }
            }
#pragma warning disable CA1031 // See above.
            catch (Exception exception) when (!cancellation.IsCancellationRequested && exception is not CaptureException { Transient: false })
#pragma warning restore CA1031
            {
                LogNoHeartbeat(_logger, _configuration.Name, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellation));
    }

    // The slot exists and the tables are in the publication, so that nothing is missing between the rows and the stream.
    // The source is asked about each table, which may take long. Heartbeats do not wait for it.
    private void StartBackfills(CancellationToken cancellation)
    {
        if (!_starting.IsCompletedSuccessfully)
            return;
        _joined.RemoveAll(_starting.Result.Contains);
        _starting = Task.FromResult<string[]>([]);
        if (_joined.Count == 0 || _time.GetTimestamp() < _startAt)
            return;
        _startAt = _time.GetTimestamp() + (_time.TimestampFrequency * (long)StartInterval.TotalSeconds);
        _starting = StartBackfills([.. _joined], cancellation);
    }

    // Returns the tables that need not be asked about again.
    private async Task<string[]> StartBackfills(string[] tables, CancellationToken cancellation)
    {
        try
        {
            await _grains.GetGrain<IBackfillsGrain>(IBackfillsGrain.Key).StartInitial(_configuration.Name, tables).WaitAsync(cancellation);
            return tables;
        }
#pragma warning disable CA1031 // The source, the control database or another backfill is in the way for now.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (!cancellation.IsCancellationRequested)
                LogNotStarted(_logger, _configuration.Name, exception.Message);
            return [];
        }
    }

    private async Task Watch(CancellationToken cancellation)
    {
        try
        {
            if (await _capture.Watch(cancellation) is { Count: > 0 } joined)
            {
                _joined.AddRange(joined);
                _startAt = 0;
            }
        }
        catch (CaptureException exception) when (exception.Transient)
        {
            LogNotWatched(_logger, _configuration.Name, exception.Message);
        }
    }

    // A silo that has left, or has no partition of the source any more, reports no longer.
    private Dictionary<string, SiloFigures> Silos()
    {
        lock (_silos)
        {
            foreach (var (silo, (_, at)) in _silos)
            {
                if (_time.GetElapsedTime(at) > FiguresLifetime)
                    _silos.Remove(silo);
            }

            return _silos.ToDictionary(s => s.Key, s => s.Value.Figures);
        }
    }

    private void SetState(SourceState state, string? detail)
    {
        _detail = detail;
        _state = (int)state;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: backfills could not be started now; it is tried again: {Reason}")]
    private static partial void LogNotStarted(ILogger logger, string source, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: streaming, epoch {Epoch}, from {Position}")]
    private static partial void LogStreaming(ILogger logger, string source, long epoch, Lsn position);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: {Gap}. That was accepted: its stored rows are deleted, and it continues from {Position}")]
    private static partial void LogReset(ILogger logger, string source, string gap, Lsn position);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: ended the server process of a stale reader")]
    private static partial void LogEndedStale(ILogger logger, string source);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: reading failed; next attempt in {Pause}: {Error}")]
    private static partial void LogRetry(ILogger logger, string source, string error, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Source}: cannot be read until a person acts: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: this reader ends: {Reason}")]
    private static partial void LogStale(ILogger logger, string source, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: stopped with {Changes} changes that are not durable; they are streamed again: {Error}")]
    private static partial void LogUndrained(ILogger logger, string source, long changes, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: publication and tables could not be checked; the next check tries again: {Error}")]
    private static partial void LogNotWatched(ILogger logger, string source, string error);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: heartbeat or positions failed: {Error}")]
    private static partial void LogNoHeartbeat(ILogger logger, string source, string error);
}
