using System.Globalization;
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
/// The events of a file that cannot be written fail for now, without those of other files. Several processes may write to one folder: a
/// process locks the folder while it writes.
/// </remarks>
internal sealed partial class FileSink : ISink
{
    private const int BatchBytes = 4 << 20;
    private const int KeptOutlets = 1024;
    private static readonly TimeSpan MemoryWait = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan BusyWait = TimeSpan.FromMilliseconds(5);

    private readonly string _directory;
    private readonly FileRotation? _rotation;
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
        _rotation = configuration.Rotation;
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
    /// <remarks>Creates the folder if it is missing, and writes and deletes a small file in it.</remarks>
    public async Task<string?> Test(TimeSpan limit, CancellationToken cancellation)
    {
        try
        {
            // A disk that hangs, for example of a server that is gone, does not answer.
            await Task.Run(() => TopicFile.Try(_directory), cancellation).WaitAsync(limit, _time, cancellation);
            return null;
        }
        catch (TimeoutException)
        {
            return string.Create(CultureInfo.InvariantCulture, $"Writing to '{_directory}' has not ended within {limit.TotalSeconds:0.###} s. Look whether its disk answers.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Words(failure);
        }
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
                    await Task.Delay(MemoryWait, _time);
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
                    _outlets[single.Topic] = outlet = new Outlet(single.Topic, Path.Combine(_directory, FileName.For(single.Topic)));
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
        var count = 0;
        DeliveryFailure? failure = null;
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

            TopicFile.Append(outlet.Path, _lines.Written, _rotation, _time.GetUtcNow());
            _lines.Shrink();
        }
        catch (IOException busy) when (TopicFile.IsBusy(busy) && !_closing.IsCancellationRequested)
        {
            return BusyWait;
        }
#pragma warning disable CA1031 // Any error is an outcome of the events. An error that ended the loop would stop the sink without a word.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            failure = Failed(outlet, exception);
            count = outlet.Pending.Count;
        }

        if (failure is null && outlet.Fails)
            Recovered(outlet);
        for (; count > 0; count--)
        {
            var (single, parcel) = outlet.Pending.Dequeue();
            single.Failure = failure;
            if (parcel.Answered() is { } complete)
                _health.Complete(complete);
        }

        return outlet.Pending.Count > 0 ? TimeSpan.Zero : Timeout.InfiniteTimeSpan;
    }

    private DeliveryFailure Failed(Outlet outlet, Exception exception)
    {
        outlet.Fails = true;
        var error = Words(exception);
        if (_health.Down(error))
            LogDown(Name, _directory, exception.Message);
        return DeliveryFailure.OfDestination(outlet.Topic, error);
    }

    private string Words(Exception exception) =>
        $"Writing to '{_directory}' failed: {exception.Message} Free space or grant access; the sink then continues by itself.";

    private void Recovered(Outlet outlet)
    {
        outlet.Fails = false;
        if (_outlets.Values.All(o => !o.Fails) && _health.Up())
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
    private sealed class Outlet(string topic, string path)
    {
        public string Topic { get; } = topic;

        public string Path { get; } = path;

        public Queue<(SinkEvent Event, Parcel Parcel)> Pending { get; } = new();

        /// <summary>Whether the last attempt to write failed.</summary>
        public bool Fails { get; set; }
    }
}
