using System.Threading.Channels;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// Delivers to files: one file per topic, one JSON object per line (<see cref="EventLine"/>). One task writes. Everything that arrived
/// during the last write is written with one write and one fsync per file, and only then are the deliveries completed. So a completed
/// delivery survives a power failure, and many events share the cost of the disk.
/// </summary>
/// <remarks>
/// A file that cannot be written delays only its own topic. It is tried again after growing waits, up to 30 s. Several processes may write
/// to one folder: a process locks the folder while it writes.
/// </remarks>
internal sealed partial class FileSink : ISink
{
    private const int BatchBytes = 4 << 20;
    private const int KeptOutlets = 1024;
    private static readonly TimeSpan BusyWait = TimeSpan.FromMilliseconds(5);
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(30));

    private readonly string _directory;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SinkHealth _health;
    private readonly CancellationTokenSource _closing = new();
    private readonly Channel<Delivery> _incoming = Channel.CreateUnbounded<Delivery>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<string, Outlet> _outlets = new(StringComparer.Ordinal);
    private readonly JsonBuffer _lines = new();
    private readonly Task _writing;

    public FileSink(FileSinkConfiguration configuration, TimeProvider time, ILogger log)
    {
        _directory = Path.GetFullPath(configuration.Directory);
        _time = time;
        _log = log;
        _health = new SinkHealth(configuration.Name, configuration.Type);
        _writing = Task.Run(WriteUntilClosed);
    }

    /// <inheritdoc />
    public string Name => _health.Name;

    /// <inheritdoc />
    public SinkStatus Status => _health.Status;

    /// <inheritdoc />
    public void Deliver(Delivery delivery)
    {
        _health.Taken(delivery.Events.Count);
        _incoming.Writer.TryWrite(delivery);
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        // What came in is written once more; what fails then will come again from the log.
        _incoming.Writer.TryComplete();
        await _closing.CancelAsync();
        await _writing;
        _closing.Dispose();
    }

    private async Task WriteUntilClosed()
    {
        while (true)
        {
            var wait = Timeout.InfiniteTimeSpan;
            while (_incoming.Reader.TryPeek(out var delivery))
            {
                if (TrySort(delivery))
                    _incoming.Reader.TryRead(out _);
                else
                    await Task.Delay(Retries.After(1), _time);
            }

            foreach (var outlet in _outlets.Values)
            {
                if (outlet.Pending.Count > 0)
                    wait = Shorter(wait, Write(outlet));
            }

            ForgetSome();
            if (!await WaitForWork(wait))
                return;
        }
    }

    // False when the sink is closed and nothing is left to try.
    private async Task<bool> WaitForWork(TimeSpan wait)
    {
        if (_closing.IsCancellationRequested)
            return _incoming.Reader.TryPeek(out _) || wait == TimeSpan.Zero;
        if (wait == TimeSpan.Zero)
            return true;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
        var arrival = _incoming.Reader.WaitToReadAsync(stop.Token).AsTask();
        var pause = Task.Delay(wait, _time, stop.Token);
        await Task.WhenAny(arrival, pause);
        await stop.CancelAsync();
        await ((Task)arrival).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await pause.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return true;
    }

    // Puts the events of a delivery in the queues of their files. Without memory nothing is done, and the answer is false.
    private bool TrySort(Delivery delivery)
    {
        Parcel parcel;
        try
        {
            parcel = new Parcel(delivery);
            foreach (var single in delivery.Events)
            {
                if (!_outlets.TryGetValue(single.Topic, out var outlet))
                    _outlets[single.Topic] = outlet = new Outlet(Path.Combine(_directory, FileName.For(single.Topic)));
                outlet.Pending.EnsureCapacity(outlet.Pending.Count + delivery.Events.Count);
            }
        }
        catch (Exception failure) when (Exhaustion.IsCauseOf(failure))
        {
            _health.Trouble($"Events could not be accepted: {failure.Message}");
            return false;
        }

        for (var i = 0; i < delivery.Events.Count; i++)
            _outlets[delivery.Events[i].Topic].Pending.Enqueue((delivery.Events[i], parcel));
        return true;
    }

    // Writes one batch; returns the time until there is something to do for this file again.
    private TimeSpan Write(Outlet outlet)
    {
        var now = _time.GetTimestamp();
        if (outlet.Failures > 0 && _time.GetElapsedTime(outlet.FailedAt, now) is var passed && passed < outlet.Wait && !_closing.IsCancellationRequested)
            return outlet.Wait - passed;

        var count = 0;
        try
        {
            _lines.Clear();
            foreach (var (single, _) in outlet.Pending)
            {
                EventLine.Write(_lines, single);
                count++;
                if (_lines.Length >= BatchBytes)
                    break;
            }

            TopicFile.Append(outlet.Path, _lines.Written);
            _lines.Shrink();
        }
        catch (IOException busy) when (TopicFile.IsBusy(busy) && !_closing.IsCancellationRequested)
        {
            return BusyWait;
        }
#pragma warning disable CA1031 // After any error the events are tried again. An error that ended the loop would stop the sink without a word.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Failed(outlet, failure);
            return _closing.IsCancellationRequested ? Timeout.InfiniteTimeSpan : outlet.Wait;
        }

        if (outlet.Failures > 0)
            Recovered(outlet);
        for (; count > 0; count--)
        {
            if (outlet.Pending.Dequeue().Parcel.Written() is { } complete)
            {
                _health.Completed(complete.Events.Count, refused: 0);
                complete.Complete();
            }
        }

        return outlet.Pending.Count > 0 ? TimeSpan.Zero : Timeout.InfiniteTimeSpan;
    }

    private void Failed(Outlet outlet, Exception failure)
    {
        outlet.Failures++;
        outlet.FailedAt = _time.GetTimestamp();
        outlet.Wait = Retries.After(outlet.Failures);
        if (_health.Down($"Writing to '{_directory}' failed: {failure.Message} Free space or grant access; the sink then continues by itself."))
            LogDown(Name, _directory, failure.Message);
    }

    private void Recovered(Outlet outlet)
    {
        outlet.Failures = 0;
        if (_outlets.Values.All(o => o.Failures == 0) && _health.Up())
            LogUp(Name);
    }

    // Limits the number of topics that are kept although nothing waits for them.
    private void ForgetSome()
    {
        if (_outlets.Count <= KeptOutlets)
            return;
        foreach (var topic in _outlets.Where(o => o.Value.Pending.Count == 0).Select(o => o.Key).ToList())
            _outlets.Remove(topic);
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other)
    {
        if (one == Timeout.InfiniteTimeSpan)
            return other;
        return other == Timeout.InfiniteTimeSpan || one < other ? one : other;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sink {Sink}: writing to {Directory} fails, deliveries wait: {Reason}")]
    private partial void LogDown(string sink, string directory, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sink {Sink}: all files take events again")]
    private partial void LogUp(string sink);

    /// <summary>The file of a topic, and the deliveries that wait for it.</summary>
    private sealed class Outlet(string path)
    {
        public string Path { get; } = path;

        public Queue<(SinkEvent Event, Parcel Parcel)> Pending { get; } = new();

        public int Failures { get; set; }

        public long FailedAt { get; set; }

        public TimeSpan Wait { get; set; }
    }

    /// <summary>A delivery and how many of its events are still to be written.</summary>
    private sealed class Parcel(Delivery delivery)
    {
        private int _left = delivery.Events.Count;

        /// <summary>One more event is written; the delivery when it was the last.</summary>
        public Delivery? Written() => --_left == 0 ? delivery : null;
    }
}
