using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql.Replication;
using Npgsql.Replication.Internal;
using Npgsql.Replication.PgOutput;
using NpgsqlTypes;

namespace CdcOrleans.Capture.Postgres;

/// <summary>The connection of the stream: start, feedback, end.</summary>
internal sealed partial class PostgresWalStream
{
    private static readonly TimeSpan FeedbackInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(1.5);

    private readonly SemaphoreSlim _oneReport = new(1);
    private readonly Task _feedback;
    private int _disposed;

    // A server that decodes a large transaction without any published change may send nothing for a long time, and would do so again after
    // every restart. TCP keepalive detects a server that is gone.
    private static readonly TimeSpan SilenceTimeout = TimeSpan.FromMinutes(5);

    /// <summary>Starts streaming at the slot's confirmed position.</summary>
    /// <param name="settings">What the stream works with.</param>
    /// <param name="server">Version of the server.</param>
    /// <param name="expected">The log that was checked; null: any.</param>
    /// <param name="confirmed">The slot's confirmed position.</param>
    /// <param name="cancellation">Cancels the start.</param>
    /// <exception cref="CaptureException">The server cannot be reached, or it refuses.</exception>
    public static async Task<PostgresWalStream> Start(
        WalStreamSettings settings, Version server, ServerLog? expected, Lsn confirmed, CancellationToken cancellation)
    {
        var connection = new LogicalReplicationConnection(settings.Place.Replication(server))
        {
            WalReceiverStatusInterval = TimeSpan.FromSeconds(10),
            WalReceiverTimeout = SilenceTimeout,
        };
        var stop = new CancellationTokenSource();
        Task<bool>? moving = null;
        try
        {
            await connection.Open(cancellation);
            if (expected is not null && (await ServerTimelines.Read(connection, cancellation)).Log is var log && !log.MayBe(expected))
                throw settings.Failure.Changed(expected, log);
            var messages = connection
                .StartLogicalReplication(new PgOutputReplicationSlot(settings.Source.Slot), stop.Token, walLocation: null, Options(settings, connection))
                .GetAsyncEnumerator(CancellationToken.None);
            moving = messages.MoveNextAsync().AsTask();
            await Started(settings, connection, moving, cancellation);
            settings.Logger.Streaming(settings.Source.Name, settings.Source.Slot, connection.ProcessID);
            return new PostgresWalStream(settings, connection, messages, moving, stop, confirmed);
        }
        catch (Exception exception)
        {
            await Close(settings, connection, stop, moving);
            if (exception is OperationCanceledException && cancellation.IsCancellationRequested)
                throw;
            throw settings.Failure.Of(exception, "starting to stream");
        }
    }

    /// <inheritdoc />
    public async Task SendFeedback(CancellationToken cancellation)
    {
        // Before the server has sent anything, this stream has no position to report.
        if (_connection.LastReceivedLsn == NpgsqlLogSequenceNumber.Invalid || _stop.IsCancellationRequested)
            return;

        // One report at a time, so that neither the store nor the server gets a lower position after a higher one.
        await _oneReport.WaitAsync(cancellation);
        try
        {
            var position = _acknowledgement.Position;
            if (_settings.Reporting is { } reporting)
                await reporting(position, cancellation);
            _connection.SetReplicationStatus(new NpgsqlLogSequenceNumber(position.Value));
            await Send(cancellation);
        }
        finally
        {
            _oneReport.Release();
        }
    }

    private async Task Send(CancellationToken cancellation)
    {
        try
        {
            await _connection.SendStatusUpdate(cancellation);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // A connection that is broken or is just closing throws various exceptions. Reading reports the real cause.
            throw _settings.Failure.Of(exception, "reporting progress");
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await Close(_settings, _connection, _stop, _moving);
        await _feedback;
        _oneReport.Dispose();
    }

    private static IEnumerable<KeyValuePair<string, string?>> Options(WalStreamSettings settings, LogicalReplicationConnection connection)
    {
        // Npgsql puts the values between single quotes and does not escape them.
        var publication = Sql.Name(settings.Source.Publication).Replace("'", "''", StringComparison.Ordinal);
        yield return new("proto_version", "1");
        yield return new("publication_names", publication);
        // Servers before version 14 cannot send logical messages. There an idle slot moves with the positions that the server reports.
        if (connection.PostgreSqlVersion.Major >= 14)
            yield return new("messages", "true");
    }

    // The first message may take long to arrive. When the slot is active for our process, the server has accepted the command.
    private static async Task Started(
        WalStreamSettings settings, LogicalReplicationConnection connection, Task<bool> moving, CancellationToken cancellation)
    {
        var start = settings.Time.GetTimestamp();
        await using var questions = await settings.Database.OpenConnectionAsync(cancellation);
        while (true)
        {
            if (moving.IsCompleted)
            {
                if (!await moving)
                    throw new CaptureException(
                        $"sources.{settings.Source.Name}.postgres.slot: {settings.Place.Description} ended the stream at once. Check the server's log.",
                        transient: true);
                return;
            }

            var slot = await SlotFacts.Read(questions, settings.Source.Slot, cancellation)
                ?? throw new CaptureException(SlotCheck.Missing(settings.Source), transient: false);
            if (slot.ActiveProcess == connection.ProcessID)
                return;
            if (settings.Time.GetElapsedTime(start) > StartTimeout)
                throw new TimeoutException($"The server did not start to stream within {StartTimeout.TotalSeconds} s");
            await Task.WhenAny(moving, Task.Delay(TimeSpan.FromMilliseconds(10), settings.Time, cancellation));
            cancellation.ThrowIfCancellationRequested();
        }
    }

    // Npgsql also sends feedback on its own timer, but only the position that was set here.
    private async Task GiveFeedback()
    {
        using var timer = new PeriodicTimer(FeedbackInterval, _settings.Time);
        var reported = Lsn.None;
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                // A message that has arrived but was not taken yet counts as received too. So nothing is confirmed while there is one.
                if (_moving is not { IsCompleted: true })
                    _acknowledgement.ConfirmIdle(new Lsn((ulong)_connection.LastReceivedLsn));
                var position = _acknowledgement.Position;
                if (position == reported)
                    continue;
                if (await TryReport(_stop.Token))
                    reported = position;
            }
        }
        catch (OperationCanceledException)
        {
            // The stream ends.
        }
        catch (CaptureException)
        {
            // The connection broke: the next read throws.
        }
    }

    // The store may be unreachable for some time. Then the position is reported to the server later.
    private async Task<bool> TryReport(CancellationToken cancellation)
    {
        try
        {
            await SendFeedback(cancellation);
            return true;
        }
        catch (Exception exception) when (exception is not (CaptureException or OperationCanceledException))
        {
            _settings.Logger.NotReported(_settings.Source.Name, exception.Message);
            return false;
        }
    }

    private void StopSoon() => StopSoon(_stop);

    // Cancelling sends a request over another connection, so it does not run on the caller's thread.
    private static void StopSoon(CancellationTokenSource stop) => ThreadPool.QueueUserWorkItem(static s => s.Cancel(), stop, preferLocal: false);

    private static async Task Close(
        WalStreamSettings settings, LogicalReplicationConnection connection, CancellationTokenSource stop, Task<bool>? moving)
    {
        var closing = Task.Run(async () =>
        {
            await stop.CancelAsync();
            if (moving is not null)
                await moving.ContinueWith(static _ => { }, TaskScheduler.Default);
            await connection.DisposeAsync();
        });
        try
        {
            await closing.WaitAsync(EndTimeout, settings.Time);
        }
        catch (TimeoutException)
        {
            // The server may be gone without closing the connection. The rest ends when the network times out.
            settings.Logger.ConnectionAbandoned(settings.Source.Name);
            _ = closing.ContinueWith(static c => c.Exception, TaskScheduler.Default);
        }
        catch (Exception exception) when (exception is not TimeoutException)
        {
            // The connection is closed in any case.
        }
    }
}
