using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>What the checkpointer needs from a partition. Safe for concurrent use.</summary>
internal interface ICheckpointed
{
    /// <summary>The partition's number.</summary>
    int Index { get; }

    /// <summary>Epoch of the reader that opened it; 0 before the first.</summary>
    long Epoch { get; }

    /// <summary>What waits for a checkpoint.</summary>
    CheckpointBuffer Buffer { get; }
}

/// <summary>
/// Makes the progress of one source's partitions on this silo durable. It writes one transaction for all of them, every interval or as
/// soon as enough waits: bytes, or half of the reader's window, so that the reader does not wait for the interval. Then it reports the
/// progress to the reader. Only one checkpoint at a time. Safe for concurrent use.
/// </summary>
internal sealed partial class Checkpointer : IAsyncDisposable
{
    private static readonly Histogram<double> Duration =
        CdcMeter.Instance.CreateHistogram<double>("cdc.checkpoint.duration", "ms", "Time that a checkpoint took to commit.");

    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(5));

    /// <summary>Longest time between two reports, so that the counters stay current.</summary>
    private static readonly TimeSpan IdleReport = TimeSpan.FromSeconds(1);

    /// <summary>Longest wait for the reader's answer by a partition that leaves.</summary>
    private static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(1);

    private readonly string _source;
    private readonly string _silo;
    private readonly ControlConfiguration _control;
    private readonly ICheckpointStore _store;
    private readonly SourceFigures _figures;
    private readonly IWalReaderGrain _reader;
    private readonly long _mostFinished;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<int, Member> _partitions = new();
    private readonly ConcurrentDictionary<int, PartitionProgressReport> _unreported = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _run;
    private Task _report = Task.CompletedTask;
    private long _reportedAt;
    private int _woken;
    private long _threshold;
    private long _finished;

    /// <summary>Why the last checkpoint failed; null when it did not. Any thread.</summary>
    public string? Trouble { get; private set; }

    public Checkpointer(
        SourceConfiguration source, string silo, ControlConfiguration control, ICheckpointStore store, SourceFigures figures,
        IWalReaderGrain reader, TimeProvider time, ILogger logger)
    {
        _source = source.Name;
        _mostFinished = source.WindowChanges / 2;
        _silo = silo;
        _control = control;
        _store = store;
        _figures = figures;
        _reader = reader;
        _time = time;
        _logger = logger;
        _threshold = control.CheckpointBytes;
        _run = Task.Run(Run);
    }

    /// <summary>Adds a partition that starts on this silo.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="fenced">Called when the store reports that a newer activation owns it.</param>
    public void Register(ICheckpointed partition, Action fenced)
    {
        _partitions[partition.Index] = new Member(partition, fenced);
        SetThreshold();
    }

    /// <summary>Removes a partition that leaves this silo.</summary>
    public void Unregister(ICheckpointed partition)
    {
        if (_partitions.TryGetValue(partition.Index, out var member) && ReferenceEquals(member.Partition, partition))
            _partitions.TryRemove(new KeyValuePair<int, Member>(partition.Index, member));
        SetThreshold();
    }

    /// <summary>
    /// Notifies that changes are finished and that a buffer may have grown. If enough waits, a checkpoint starts before the interval has
    /// passed.
    /// </summary>
    public void Notice(CheckpointBuffer buffer, int finished)
    {
        var all = Interlocked.Add(ref _finished, finished);
        if ((all >= _mostFinished || buffer.Bytes >= Volatile.Read(ref _threshold)) && Interlocked.Exchange(ref _woken, 1) == 0)
            _wake.Release();
    }

    /// <summary>
    /// Writes a checkpoint of everything that is finished now, and reports it to the reader. A reader that does not answer soon may be gone.
    /// It is then not waited for: its next activation reads from the store what is durable.
    /// </summary>
    /// <exception cref="StaleOwnerException">A newer reader owns the source, or a newer activation owns a partition.</exception>
    public async Task CommitNow(CancellationToken cancellation)
    {
        // The wait is outside of the turn: several partitions that leave at the same time wait together, and checkpoints go on. If an
        // earlier report was on its way, the second one has what it lacks.
        await Answered(await InTurn(() => CommitAll(cancellation), cancellation));
        await Answered(await InTurn(() => Task.CompletedTask, cancellation));

        async Task Answered(Task report) => await report.WaitAsync(ReportPatience, _time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run;
        _stop.Dispose();
        _wake.Dispose();
        _one.Dispose();
    }

    private void SetThreshold() => Volatile.Write(ref _threshold, _control.CheckpointBytes / Math.Max(1, _partitions.Count));

    private async Task Run()
    {
        var failures = 0;
        var wait = _control.CheckpointInterval;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                if (failures == 0)
                    await Pause(wait);
                else
                    await Task.Delay(wait, _time, _stop.Token);
                await InTurn(() => CommitAll(_stop.Token), _stop.Token);
                failures = 0;
                Trouble = null;
                wait = _control.CheckpointInterval;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (StaleOwnerException stale)
            {
                // The affected partitions were notified. The others continue. If the epoch is stale, all are affected until a reader opens them.
                wait = WaitAfter(++failures);
                LogStale(_logger, _source, stale.Message);
            }
#pragma warning disable CA1031 // After any error of the control database, everything waits in the buffers and is tried again.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _figures.CheckpointFailed(exception.Message);
                Trouble = exception.Message;
                wait = WaitAfter(++failures);
                LogFailed(_logger, _source, exception.Message, wait);
            }
        }
    }

    // Runs a checkpoint while no other one runs. Returns the newest report to the reader, which may still be on its way.
    private async Task<Task> InTurn(Func<Task> checkpoint, CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        try
        {
            await checkpoint();
            return Report();
        }
        finally
        {
            _one.Release();
        }
    }

    private TimeSpan WaitAfter(int failures)
    {
        var backoff = Retries.After(failures);
        return backoff > _control.CheckpointInterval ? backoff : _control.CheckpointInterval;
    }

    private async Task Pause(TimeSpan time)
    {
        using var passed = new CancellationTokenSource(time, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, passed.Token);
        try
        {
            await _wake.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            // The interval has passed.
        }

        Interlocked.Exchange(ref _woken, 0);
    }

    private async Task CommitAll(CancellationToken cancellation)
    {
        Interlocked.Exchange(ref _finished, 0);
        StaleOwnerException? stale = null;
        foreach (var epoch in _partitions.Values.Where(m => m.Partition.Epoch != 0).GroupBy(m => m.Partition.Epoch).OrderByDescending(g => g.Key))
        {
            try
            {
                await Commit(epoch.Key, [.. epoch], cancellation);
            }
            catch (StaleOwnerException exception)
            {
                stale = exception;
                foreach (var member in epoch.Where(m => exception.Partitions.Contains(m.Partition.Index)))
                    member.Fenced();
            }
        }

        if (stale is not null)
            throw stale;
    }

    private async Task Commit(long epoch, Member[] members, CancellationToken cancellation)
    {
        var cuts = new List<(Member Member, PartitionCheckpoint Cut)>();
        foreach (var member in members)
        {
            if (member.Partition.Buffer.Cut() is { } cut)
                cuts.Add((member, cut));
        }

        if (cuts.Count == 0)
            return;
        var states = cuts.Sum(c => c.Cut.States.Count);
        IReadOnlyList<EntityKey> leftOut;
        try
        {
            var start = _time.GetTimestamp();
            leftOut = await _store.Commit(new Checkpoint(_source, epoch, cuts.ConvertAll(c => c.Cut)), cancellation);
            Duration.Record(_time.GetElapsedTime(start).TotalMilliseconds, new KeyValuePair<string, object?>("source", _source));
        }
        catch
        {
            foreach (var (member, _) in cuts)
                member.Partition.Buffer.Failed();
            throw;
        }

        foreach (var (member, cut) in cuts)
        {
            member.Partition.Buffer.Committed();
            _unreported[cut.Partition] = new PartitionProgressReport(cut.Partition, cut.Generation, cut.Progress);
        }

        _figures.CheckpointCommitted(states);
        if (leftOut.Count > 0)
        {
            _figures.RowsNotStored(leftOut.Count, leftOut[^1], RowAbsence.TooLarge);
            LogLeftOut(_logger, _source, leftOut.Count);
        }
    }

    // Progress stays in _unreported until a report with it was answered, so a lost report is repeated by the next one. A slow reader does
    // not delay checkpoints.
    private Task Report()
    {
        if (!_report.IsCompleted || (_unreported.IsEmpty && _time.GetElapsedTime(_reportedAt) < IdleReport))
            return _report;
        _reportedAt = _time.GetTimestamp();
        _report = Send(new ProgressReport
        {
            Epoch = _partitions.Values.Select(m => m.Partition.Epoch).DefaultIfEmpty().Max(),
            Silo = _silo,
            Partitions = [.. _unreported.Values],
            Figures = _figures.Take(),
        });
        return _report;
    }

    private async Task Send(ProgressReport report)
    {
        try
        {
            await _reader.ReportProgress(report);
            foreach (var sent in report.Partitions)
                _unreported.TryRemove(new KeyValuePair<int, PartitionProgressReport>(sent.Partition, sent));
        }
#pragma warning disable CA1031 // The reader may be moving. The next report contains this progress again.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogUnreported(_logger, _source, exception.Message);
        }
    }

    private sealed record Member(ICheckpointed Partition, Action Fenced);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: checkpoint refused: {Reason}")]
    private static partial void LogStale(ILogger logger, string source, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: checkpoint failed; next attempt in {Wait}: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, string error, TimeSpan wait);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: {Count} rows are too large to be stored. Until they become smaller, their events have only what the log has; the status names the last one")]
    private static partial void LogLeftOut(ILogger logger, string source, int count);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: progress not reported yet: {Error}")]
    private static partial void LogUnreported(ILogger logger, string source, string error);
}
