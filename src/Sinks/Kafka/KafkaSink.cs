using System.Collections.Concurrent;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>
/// Delivers to Apache Kafka with an idempotent producer. A delivery is completed when all in-sync replicas have acknowledged its last
/// event. While brokers cannot be reached, deliveries wait in the client and do not expire. An event that the broker refuses for good is
/// refused by itself, without the other events of its batch.
/// </summary>
/// <remarks>
/// After a fatal error of the producer (its sequence numbers were lost at the broker, say) a new one takes over and sends again what was
/// not acknowledged. Events that the client reports as written without an offset are sent again as well
/// (<see cref="KafkaErrors.NotConfirmed"/>). Such events may arrive twice, with the same <c>cdc.id</c>.
/// </remarks>
internal sealed partial class KafkaSink : ISink
{
    private static readonly TimeSpan RoomWait = TimeSpan.FromMilliseconds(5);
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(10));
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(10);

    private readonly KafkaSettings _settings;
    private readonly TopicTemplate _topics;
    private readonly TopicCreator? _creator;
    private readonly string _bootstrap;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SinkHealth _health;
    private readonly CancellationTokenSource _closing = new();
    private readonly SemaphoreSlim _signal = new(0);
    private readonly ConcurrentQueue<Shipment> _waitingForRoom = new();
    private readonly ConcurrentQueue<Shipment> _again = new();
    private readonly ConcurrentQueue<Shipment> _withoutTopic = new();
    private readonly ConcurrentBag<Task> _retirements = [];
    private readonly Task _sending;
    private Lane _batches;
    private Lane? _singles;
    private int _failures;
    private volatile bool _isClosed;

    public KafkaSink(KafkaSinkConfiguration configuration, TimeProvider time, ILogger log)
    {
        _settings = new KafkaSettings(configuration);
        _bootstrap = configuration.Bootstrap;
        LargestEvent = _settings.LargestEvent;
        _topics = new TopicTemplate(configuration.Topic);
        if (configuration.CreateTopics is { } creation)
            _creator = new TopicCreator(_settings, creation, (facility, message) => LogClient(Name, facility, message));
        _time = time;
        _log = log;
        _health = new SinkHealth(configuration.Name, configuration.Type);
        try
        {
            _batches = Open(_settings.ForBatches());
        }
        catch (Exception refused) when (refused is KafkaException or InvalidOperationException or ArgumentException)
        {
            throw new ArgumentException($"Sink '{Name}': its Kafka options are not possible: {refused.Message}", nameof(configuration), refused);
        }

        _sending = Task.Run(SendAgainUntilClosed);
    }

    /// <inheritdoc />
    public string Name => _health.Name;

    /// <inheritdoc />
    public SinkStatus Status => _health.Status;

    /// <inheritdoc />
    public long? LargestEvent { get; }

    /// <inheritdoc />
    public string DestinationOf(SinkEvent sent) => TopicOf(sent);

    /// <summary>The native handle of the producer for batches; tests raise fatal errors in it.</summary>
    internal Handle Handle => _batches.Producer.Handle;

    /// <inheritdoc />
    public void Deliver(Delivery delivery)
    {
        var shipment = new Shipment(this, delivery);
        _health.Taken(shipment.Count);

        // Behind those that found the client's queue full: first come, first served.
        if (_waitingForRoom.IsEmpty)
            shipment.Send(Volatile.Read(ref _batches).Producer);
        else
            WaitForRoom(shipment);
    }

    /// <inheritdoc />
    /// <remarks>Asks the brokers for the metadata of the cluster. Whether a topic exists and may be written shows with its first event.</remarks>
    public Task<string?> Test(TimeSpan limit, CancellationToken cancellation) => Task.Run(
        () =>
        {
            var said = "";
            try
            {
                using var client = new AdminClientBuilder(_settings.ForAdministration())
                    .SetLogHandler((_, message) => LogClient(Name, message.Facility, message.Message))
                    .SetErrorHandler((_, error) => said = $" {error.Reason}.")
                    .Build();
                return client.GetMetadata(limit).Brokers.Count > 0 ? null : $"{_bootstrap} knows no broker.";
            }
            catch (Exception failure) when (failure is KafkaException or InvalidOperationException or ArgumentException)
            {
                return $"{_bootstrap} cannot be asked: {failure.Message}.{said} Check the addresses, and the options for security.";
            }
        },
        cancellation);

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _sending;
        await Task.WhenAll([Close(_batches), _singles is { } singles ? Close(singles) : Task.CompletedTask, .. _retirements]);
        _isClosed = true;
        AnswerQueued();
        _signal.Dispose();
        _closing.Dispose();
    }

    /// <summary>Whether the sink creates missing topics.</summary>
    internal bool CreatesTopics => _creator is not null;

    /// <summary>The topic that an event is written to.</summary>
    internal string TopicOf(SinkEvent single) => _topics.For(single);

    /// <summary>Answers for a delivery.</summary>
    internal void Complete(Shipment shipment) => _health.Complete(shipment.Delivery);

    /// <summary>Answers for a delivery with events that failed for now.</summary>
    internal void Failed(Shipment shipment, DeliveryFailure failure)
    {
        _health.Trouble(failure.Error);
        _health.Complete(shipment.Delivery);
    }

    /// <summary>An event was acknowledged.</summary>
    internal void Reached()
    {
        Volatile.Write(ref _failures, 0);
        if (_health.Up())
            LogUp(Name);
    }

    /// <summary>Takes back what the client could not send.</summary>
    internal void SendAgain(Shipment shipment, Error error)
    {
        if (error.Code == ErrorCode.Local_QueueFull)
        {
            WaitForRoom(shipment);
            return;
        }

        if (!KafkaErrors.IsOfBrokenProducer(error.Code))
            _health.Trouble($"{error.Reason} ({error.Code}); sending again.");
        _again.Enqueue(shipment);
        Wake();
    }

    /// <summary>Takes back what needs topics that do not exist.</summary>
    internal void CreateTopicsAndSendAgain(Shipment shipment)
    {
        _withoutTopic.Enqueue(shipment);
        Wake();
    }

    // The loop may have emptied the queue just before, so it is woken for every shipment.
    private void WaitForRoom(Shipment shipment)
    {
        _waitingForRoom.Enqueue(shipment);
        Wake();
    }

    private Lane Open(Dictionary<string, string> settings)
    {
        var lane = new Lane();
        lane.Producer = new ProducerBuilder<byte[]?, byte[]?>(settings)
            .SetErrorHandler((_, error) => Heard(lane, error))
            .SetLogHandler((_, message) => LogClient(Name, message.Facility, message.Message))
            .Build();
        return lane;
    }

    private void Heard(Lane lane, Error error)
    {
        if (error.IsFatal)
        {
            LogFatal(Name, error.Reason, error.Code);
            _health.Down($"{error.Reason} ({error.Code}); the producer failed fatally and a new one takes over.");
            lane.IsBroken = true;
            Wake();
            return;
        }

        if (error.Code is ErrorCode.Local_AllBrokersDown or ErrorCode.Local_Authentication or ErrorCode.Local_Ssl or ErrorCode.SaslAuthenticationFailed)
        {
            if (_health.Down($"{error.Reason} ({error.Code})"))
                LogDown(Name, error.Reason, error.Code);
        }
        else
        {
            _health.Trouble($"{error.Reason} ({error.Code})");
        }
    }

    // Runs until the sink is closed. What waits here then comes again from the log.
    private async Task SendAgainUntilClosed()
    {
        var closing = _closing.Token;
        while (!closing.IsCancellationRequested)
        {
            try
            {
                await _signal.WaitAsync(closing);
                Replace(ref _batches!, _settings.ForBatches);
                Replace(ref _singles, _settings.ForSingles);
                await CreateTopics(closing);
                await SendAgain(closing);
                await SendWaiting(closing);
            }
            catch (OperationCanceledException) when (closing.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // Without this loop nothing would be sent again. The shipments are still in their queues.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                LogLoop(exception, Name);
                _health.Trouble($"Sending again failed: {exception.Message}");
                await Task.Delay(Retries.After(Interlocked.Increment(ref _failures)), _time, closing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                Wake();
            }
        }
    }

    private async Task SendAgain(CancellationToken closing)
    {
        var count = _again.Count;
        if (count == 0)
            return;
        var failures = Interlocked.Increment(ref _failures);
        await Task.Delay(Retries.After(failures), _time, closing);
        Replace(ref _batches!, _settings.ForBatches);
        Replace(ref _singles, _settings.ForSingles);

        // A shipment leaves the queue only when its producer is there. Nobody else takes from the queue.
        for (; count > 0 && _again.TryPeek(out var shipment); count--)
        {
            var lane = shipment.GoesAlone ? _singles ??= Open(_settings.ForSingles()) : _batches;
            _again.TryDequeue(out _);
            shipment.Send(lane.Producer);
        }
    }

    private async Task SendWaiting(CancellationToken closing)
    {
        while (!_waitingForRoom.IsEmpty)
        {
            await Task.Delay(RoomWait, _time, closing);
            for (var count = _waitingForRoom.Count; count > 0 && _waitingForRoom.TryDequeue(out var shipment); count--)
                shipment.Send(_batches.Producer);
            if (!_again.IsEmpty)
                return;
        }
    }

    // Without the topics the shipments fail once more, and then they are answered.
    private async Task CreateTopics(CancellationToken closing)
    {
        var count = _withoutTopic.Count;
        if (count == 0)
            return;
        var (created, errors) = await _creator!.Create(_withoutTopic.Take(count).SelectMany(s => s.Topics).Distinct().ToList(), closing);
        foreach (var topic in created)
            LogCreated(Name, topic);
        foreach (var error in errors)
            _health.Trouble(error);
        for (; count > 0 && _withoutTopic.TryDequeue(out var shipment); count--)
            shipment.Send(_batches.Producer);
    }

    // Nobody sends them any more.
    private void AnswerQueued()
    {
        foreach (var queue in (ConcurrentQueue<Shipment>[])[_again, _waitingForRoom, _withoutTopic])
        {
            while (queue.TryDequeue(out var shipment))
                shipment.GiveUp(DeliveryFailure.OfEvent("The sink is being closed."));
        }
    }

    private void Wake()
    {
        if (_isClosed)
        {
            AnswerQueued();
            return;
        }

        try
        {
            _signal.Release();
        }
        catch (ObjectDisposedException)
        {
            // Closed meanwhile: what is not delivered stays incomplete, and its events will come again from the log.
        }
    }

    private void Replace(ref Lane? lane, Func<Dictionary<string, string>> settings)
    {
        if (lane is not { IsBroken: true } broken)
            return;
        Volatile.Write(ref lane, Open(settings()));
        _retirements.Add(Task.Run(() => Retire(broken)));
    }

    // Every event that the broken producer holds gets an outcome, most of them "fatal", and is sent again by the new one.
    private void Retire(Lane lane)
    {
        while (lane.Producer.Flush(TimeSpan.FromSeconds(1)) > 0 && !_closing.IsCancellationRequested)
        {
        }

        lane.Producer.Dispose();
    }

    private static Task Close(Lane lane) => Task.Run(() =>
    {
        lane.Producer.Flush(ClosingTime);
        lane.Producer.Dispose();
    });

    /// <summary>A producer and whether it can go on.</summary>
    private sealed class Lane
    {
        public IProducer<byte[]?, byte[]?> Producer { get; set; } = null!;

        public volatile bool IsBroken;
    }
}
