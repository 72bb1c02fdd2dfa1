using System.Threading.Channels;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Sinks;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// One file of JSON lines per topic: <c>&lt;topic&gt;.ndjson</c>, one <c>{"key":…,"value":…,"headers":{…}}</c> a line. One writer takes
/// everything that waits, appends it with one write per file, has the system put it on disk, and only then completes the deliveries:
/// delivered means durable. A folder that cannot be written to (disk full, no permission) is retried for as long as it takes, and no
/// part of a line stays behind.
/// </summary>
internal sealed partial class FileSink : ISink
{
    private const int MostEvents = 20_000;

    private readonly FileSinkConfiguration _configuration;
    private readonly ILogger _logger;
    private readonly Channel<Delivery> _waiting = Channel.CreateUnbounded<Delivery>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<string, LineFile> _files = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly ResiliencePipeline _retry;
    private readonly Task _run;
    private long _delivered;
    private long _pending;
    private volatile string? _trouble;
    private volatile string? _lastError;

    public FileSink(FileSinkConfiguration configuration, TimeProvider time, ILogger logger)
    {
        _configuration = configuration;
        _logger = logger;
        _retry = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<IOException>().Handle<UnauthorizedAccessException>(),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(100),
                MaxDelay = TimeSpan.FromSeconds(5),
                OnRetry = OnRetry,
            })
            .Build();
        _run = Task.Run(Run);
    }

    /// <inheritdoc />
    public string Name => _configuration.Name;

    /// <inheritdoc />
    public SinkStatus Status => new()
    {
        Name = Name,
        Type = _configuration.Type,
        Healthy = _trouble is null,
        LastError = _lastError,
        Delivered = Interlocked.Read(ref _delivered),
        Refused = 0,
        Waiting = Interlocked.Read(ref _pending),
    };

    /// <inheritdoc />
    public void Deliver(Delivery delivery)
    {
        Interlocked.Add(ref _pending, delivery.Events.Count);
        _waiting.Writer.TryWrite(delivery);
    }

    /// <inheritdoc />
    public void Flush()
    {
        // The writer takes what waits as soon as it is free.
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        try
        {
            // What is being written gets to its end; a disk that takes nothing does not hold the process up.
            await _run.WaitAsync(TimeSpan.FromSeconds(5));
        }
        catch (TimeoutException)
        {
            await _stop.CancelAsync();
            await _run;
        }

        foreach (var file in _files.Values)
            file.Dispose();
        _stop.Dispose();
    }

    private async Task Run()
    {
        var batch = new List<Delivery>();
        var touched = new HashSet<LineFile>();
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(_stop.Token))
            {
                batch.Clear();
                var events = 0;
                while (events < MostEvents && _waiting.Reader.TryRead(out var delivery))
                {
                    batch.Add(delivery);
                    events += delivery.Events.Count;
                }

                await _retry.ExecuteAsync(
                    static (write, _) =>
                    {
                        write.Sink.Write(write.Batch, write.Touched);
                        return default;
                    },
                    (Sink: this, Batch: batch, Touched: touched),
                    _stop.Token);
                _trouble = null;
                Interlocked.Add(ref _delivered, events);
                Interlocked.Add(ref _pending, -events);
                foreach (var delivery in batch)
                    delivery.Complete();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // What was not written is not completed, and is streamed again.
        }
    }

    private void Write(List<Delivery> batch, HashSet<LineFile> touched)
    {
        touched.Clear();
        try
        {
            Directory.CreateDirectory(_configuration.Directory);
            foreach (var delivery in batch)
            {
                foreach (var made in delivery.Events)
                {
                    var file = Open(made.Topic);
                    file.Add(made);
                    touched.Add(file);
                }
            }

            foreach (var file in touched)
                file.Append();
            foreach (var file in touched)
                file.Sync();
        }
        catch
        {
            // All of the batch is written again, so nothing of it may stay.
            foreach (var file in touched)
                file.TakeBack();
            foreach (var file in _files.Values)
                file.Dispose();
            _files.Clear();
            throw;
        }

        foreach (var file in touched)
            file.Keep();
    }

    private LineFile Open(string topic)
    {
        if (!_files.TryGetValue(topic, out var file))
            _files.Add(topic, file = new LineFile(Path.Combine(_configuration.Directory, FileName.For(topic))));
        return file;
    }

    private ValueTask OnRetry(OnRetryArguments<object> failed)
    {
        var trouble = failed.Outcome.Exception?.Message;
        if (_trouble is null)
            LogTrouble(_logger, Name, _configuration.Directory, trouble ?? "");
        _trouble = _lastError = trouble;
        return default;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Sink {Sink} cannot write to {Directory} and tries again until it can: {Trouble}")]
    private static partial void LogTrouble(ILogger logger, string sink, string directory, string trouble);
}
