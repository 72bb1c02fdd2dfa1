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
/// Keeps one source streaming: prepares it, raises the epoch, runs a session, and begins again after trouble. Runs on the thread
/// pool; the grain is its control plane.
/// </summary>
internal sealed partial class WalReader : IAsyncDisposable
{
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(5));

    /// <summary>Time between tries when a person has to act: it goes on by itself once they did.</summary>
    private static readonly TimeSpan FailedPause = TimeSpan.FromSeconds(10);

    /// <summary>A session that lasted so long was none that failed: the waits begin anew.</summary>
    private static readonly TimeSpan LastingSession = TimeSpan.FromSeconds(30);

    /// <summary>How long the end waits for the server to take the last position: what it does not take is streamed again.</summary>
    private static readonly TimeSpan ConfirmPatience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan PositionsInterval = TimeSpan.FromSeconds(2);

    /// <summary>Time between looks at publication and tables: how long the changes of a new table are missed at most.</summary>
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(5);

    private readonly SourceConfiguration _configuration;
    private readonly ISourceCapture _capture;
    private readonly ICheckpointStore _store;
    private readonly ISourceMarks _marks;
    private readonly IGrainFactory _grains;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _silo;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _stopReading = new();
    private readonly Dictionary<string, SiloFigures> _silos = [];
    private readonly Task _run;
    private volatile WalSession? _session;
    private volatile string? _detail;
    private volatile int _state = (int)SourceState.Starting;
    private SourcePositions _positions;
    private Lsn _lastConfirmed;
    private long? _epoch;

    public WalReader(
        SourceConfiguration configuration, ISourceCapture capture, ICheckpointStore store, ISourceMarks marks, IGrainFactory grains,
        TimeProvider time, ILogger logger, string silo)
    {
        _configuration = configuration;
        _capture = capture;
        _store = store;
        _marks = marks;
        _grains = grains;
        _time = time;
        _logger = logger;
        _silo = silo;
        _run = Task.Run(Run);
    }

    /// <summary>Completes when it has ended for good: stopped, or a newer reader took over.</summary>
    public Task Ended => _run;

    /// <summary>Takes durable progress and a silo's figures.</summary>
    public void Report(ProgressReport report)
    {
        lock (_silos)
            _silos[report.Silo] = report.Figures;
        _session?.Progressed(report);
    }

    /// <summary>Where the source stands.</summary>
    public SourceStatus Status()
    {
        var session = _session;
        var confirmed = session?.Confirmed ?? _lastConfirmed;
        Dictionary<string, SiloFigures> silos;
        lock (_silos)
            silos = new Dictionary<string, SiloFigures>(_silos);
        var state = (SourceState)_state;
        var detail = _detail;
        if (state == SourceState.Streaming && session is not null && session.Held > TimeSpan.FromSeconds(1))
        {
            state = SourceState.Holding;
            detail = session.HeldFor ?? Reason(silos.Values);
        }

        return new SourceStatus
        {
            Source = _configuration.Name,
            State = state,
            Detail = detail,
            Silo = _silo,
            Epoch = _epoch ?? 0,
            Slot = _configuration.Slot,
            ServerLsn = _positions.ServerLsn,
            ReceivedLsn = session?.Received ?? Lsn.None,
            ConfirmedLsn = confirmed,
            LagBytes = _positions.ServerLsn > confirmed && !confirmed.IsNone ? (long)(_positions.ServerLsn.Value - confirmed.Value) : 0,
            LagSeconds = session?.Lag.TotalSeconds ?? 0,
            RetainedBytes = _positions.RetainedBytes,
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
        };
    }

    /// <summary>Stops reading, waits until what was read is durable and confirmed, and ends. What does not make it in time is streamed again.</summary>
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
#pragma warning disable CA1031 // It ends either way; what is not confirmed is streamed again.
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

    // The server reads what it is told between two messages of its own, and not at all once the stream ends.
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
#pragma warning disable CA1031 // Whatever it is, the source must come back by itself when it passes.
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
        var facts = await _capture.Prepare(cancellation => _marks.Find(_configuration.Name, cancellation), token);
        await _store.FixPartitions(_configuration.Name, _configuration.Partitions, token);

        // Only the first epoch is taken unasked. Later ones follow our own: when another reader came meanwhile, we are the stale one.
        _epoch = await _store.RaiseEpoch(_configuration.Name, _silo, _epoch, token);
        if (await _capture.EndStaleReader(token))
            LogEndedStale(_logger, _configuration.Name);
        if (facts.Gap is { } gap)
            await BeginAnew(gap, facts, token);
        await Mark(facts.ConfirmedLsn, token);
        var stream = await _capture.Stream(Mark, token);

        // No lower one is told to the server, whatever it asks.
        Task Mark(Lsn confirmed, CancellationToken cancellation) =>
            _marks.Set(_configuration.Name, _epoch.Value, facts.SystemIdentifier, confirmed > facts.ConfirmedLsn ? confirmed : facts.ConfirmedLsn, cancellation);

        await using var session = new WalSession(
            _configuration, stream, _store, _epoch.Value, facts.ConfirmedLsn, _grains, _time, _logger, token);
        session.Start();
        _session = session;
        SetState(SourceState.Streaming, null);
        LogStreaming(_logger, _configuration.Name, _epoch.Value, facts.ConfirmedLsn);
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(token, _stopReading.Token);
        try
        {
            var read = session.Read(reading.Token);
            var beat = Beat(reading.Token);
            await await Task.WhenAny(read, session.Failed, beat);
        }
        catch (OperationCanceledException) when (_stopReading.IsCancellationRequested)
        {
            // Stopping: the session stays until it is drained.
            await Task.Delay(Timeout.InfiniteTimeSpan, _time, token);
        }
        finally
        {
            await reading.CancelAsync();
            _lastConfirmed = session.Confirmed;
            _session = null;
        }
    }

    // What is missing was accepted: what is held may be behind, and positions may be those of another log.
    private async Task BeginAnew(string gap, CaptureFacts facts, CancellationToken cancellation)
    {
        LogAnew(_logger, _configuration.Name, gap, facts.ConfirmedLsn);
        await _marks.BeginAnew(_configuration.Name, _epoch!.Value, facts.SystemIdentifier, facts.ConfirmedLsn, cancellation);
        for (var partition = 0; partition < _configuration.Partitions; partition++)
            await _grains.GetGrain<IPartitionGrain>(PartitionKey.For(_configuration.Name, partition)).BeginAnew(_epoch.Value);
    }

    // Heartbeats, positions, and a look at publication and tables; never completes by itself. Trouble that may pass ends nothing: the
    // stream tells when the server is gone. Trouble that does not, such as a publication that lacks a table, does.
    private async Task Beat(CancellationToken cancellation)
    {
        var beaten = _time.GetTimestamp();
        var watched = beaten;
        using var timer = new PeriodicTimer(PositionsInterval, _time);
        do
        {
            try
            {
                if (_configuration.HeartbeatInterval > TimeSpan.Zero && _time.GetElapsedTime(beaten) >= _configuration.HeartbeatInterval)
                {
                    beaten = _time.GetTimestamp();
                    await _capture.Heartbeat(cancellation);
                }

                _positions = await _capture.Positions(cancellation);
                if (_time.GetElapsedTime(watched) >= WatchInterval)
                {
                    watched = _time.GetTimestamp();
                    await Watch(cancellation);
                }
            }
#pragma warning disable CA1031 // See above.
            catch (Exception exception) when (!cancellation.IsCancellationRequested && exception is not CaptureException { Transient: false })
#pragma warning restore CA1031
            {
                LogNoBeat(_logger, _configuration.Name, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellation));
    }

    private async Task Watch(CancellationToken cancellation)
    {
        try
        {
            await _capture.Watch(cancellation);
        }
        catch (CaptureException exception) when (exception.Transient)
        {
            LogNotWatched(_logger, _configuration.Name, exception.Message);
        }
    }

    private void SetState(SourceState state, string? detail)
    {
        _detail = detail;
        _state = (int)state;
    }

    private static string Reason(IEnumerable<SiloFigures> silos)
    {
        foreach (var silo in silos)
        {
            if (silo.CheckpointError is { } error)
                return $"The window is full: checkpoints fail on the control database: {error}";
            foreach (var sink in silo.Sinks)
            {
                if (!sink.Healthy)
                    return $"The window is full: sink '{sink.Name}' takes no events: {sink.LastError}";
            }
        }

        return "The window is full: sinks or the control database take changes more slowly than the source makes them.";
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: streaming, epoch {Epoch}, from {Position}")]
    private static partial void LogStreaming(ILogger logger, string source, long epoch, Lsn position);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: {Gap}. That was accepted: what was held of rows is forgotten, and it goes on from {Position}")]
    private static partial void LogAnew(ILogger logger, string source, string gap, Lsn position);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: ended the server process of a stale reader")]
    private static partial void LogEndedStale(ILogger logger, string source);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: reading broke off and is tried again in {Pause}: {Error}")]
    private static partial void LogRetry(ILogger logger, string source, string error, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Source}: cannot be read until somebody acts: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: this reader ends: {Reason}")]
    private static partial void LogStale(ILogger logger, string source, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: stopped with {Changes} changes that are not durable; they are streamed again: {Error}")]
    private static partial void LogUndrained(ILogger logger, string source, long changes, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: publication and tables could not be looked at, and are again in a moment: {Error}")]
    private static partial void LogNotWatched(ILogger logger, string source, string error);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: heartbeat or positions failed: {Error}")]
    private static partial void LogNoBeat(ILogger logger, string source, string error);
}
