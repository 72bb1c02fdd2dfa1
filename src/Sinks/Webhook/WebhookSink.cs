using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>
/// Delivers by HTTP requests that are signed as Standard Webhooks describe it. One loop takes deliveries, puts their events together in
/// requests by address, and starts the requests, a limited number at a time for each address. The next event of an entity is sent when the
/// one before has its outcome.
/// </summary>
internal sealed partial class WebhookSink : ISink
{
    /// <summary>Why events are not delivered any more when the sink is closed.</summary>
    public static readonly DeliveryFailure Closing = DeliveryFailure.OfEvent("The sink is being closed.");

    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(5);
    private static readonly object CloseSignal = new();

    private readonly WebhookSinkConfiguration _configuration;
    private readonly WebhookBatch? _batch;
    private readonly WebhookAddress _address;
    private readonly WebhookClient _client;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SinkHealth _health;
    private readonly CancellationTokenSource _abort;

    // Deliveries, requests that are done, and the signal to close.
    private readonly Channel<object> _inbox = Channel.CreateUnbounded<object>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ConcurrentDictionary<string, WebhookTarget> _targets = new(StringComparer.Ordinal);

    // Entities of which an event is ready or in a request, and their events after it. These wait for its outcome, or go with it.
    private readonly Dictionary<EntityKey, Queue<WaitingEvent>?> _followers = [];
    private readonly HashSet<WebhookTarget> _ready = [];
    private readonly Task _running;
    private int _requests;
    private bool _isClosing;
    private bool _isDown;

    /// <param name="configuration">The sink.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Its log.</param>
    /// <param name="resolve">Resolves names; null takes the system's resolver.</param>
    /// <exception cref="ArgumentException">The address or a secret cannot be used.</exception>
    public WebhookSink(
        WebhookSinkConfiguration configuration, TimeProvider time, ILogger log, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _configuration = configuration;
        _batch = configuration.Batch;
        _time = time;
        _log = log;
        _health = new SinkHealth(configuration.Name, configuration.Type);
        _address = WebhookAddress.Read(configuration.Url, out var problem)
            ?? throw new ArgumentException($"Sink '{Name}': its url {problem}.", nameof(configuration));
        var secrets = configuration.Secrets.Select(WebhookSecret.Read).OfType<WebhookSecret>().ToArray();
        if (secrets.Length == 0 || secrets.Length < configuration.Secrets.Count)
            throw new ArgumentException($"Sink '{Name}': a secret is not {WebhookSinkType.SecretForm}.", nameof(configuration));
        _client = new WebhookClient(configuration, _address.Credentials, secrets, time, resolve);
        _abort = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _running = Task.Run(Run);
    }

    /// <inheritdoc />
    public string Name => _health.Name;

    /// <inheritdoc />
    public SinkStatus Status => _health.Status;

    /// <inheritdoc />
    public string DestinationOf(SinkEvent sent) => TargetOf(sent).Name;

    /// <inheritdoc />
    public void Deliver(Delivery delivery)
    {
        _health.Taken(delivery.Events.Count);
        if (_inbox.Writer.TryWrite(delivery))
            return;
        Answer(delivery);
    }

    /// <inheritdoc />
    /// <remarks>
    /// Connects to the host of the address, with TLS if it is https, and sends no request: Standard Webhooks has no event for a test, and a
    /// receiver would take one of our own for an event of its data.
    /// </remarks>
    public Task<string?> Test(TimeSpan limit, CancellationToken cancellation) => _client.Test(_address.For("topic", "source"), limit, cancellation);

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        // What waits is answered at once; requests in progress have some more time.
        _abort.CancelAfter(ClosingTime);
        _inbox.Writer.TryWrite(CloseSignal);
        await _running;
        _client.Dispose();
        _abort.Dispose();
    }

    private async Task Run()
    {
        while (true)
        {
            while (_inbox.Reader.TryRead(out var item))
                Take(item);
            var wait = StartRequests();
            if (_isClosing && _requests == 0)
                break;
            await WaitForWork(wait);
        }

        // Whoever writes later is told that the sink is closed, and answers by itself.
        _inbox.Writer.TryComplete();
        while (_inbox.Reader.TryRead(out var item))
        {
            if (item is Delivery delivery)
                Answer(delivery);
        }
    }

    private async Task WaitForWork(TimeSpan wait)
    {
        if (wait == Timeout.InfiniteTimeSpan)
        {
            await _inbox.Reader.WaitToReadAsync();
            return;
        }

        using var pause = new CancellationTokenSource(wait, _time);
        var arrival = _inbox.Reader.WaitToReadAsync(pause.Token).AsTask();
        await ((Task)arrival).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Take(object item)
    {
        switch (item)
        {
            case Delivery delivery:
                Accept(delivery);
                break;
            case WebhookRequest request:
                Settle(request);
                break;
            default:
                _isClosing = true;
                break;
        }
    }

    private void Accept(Delivery delivery)
    {
        var parcel = new Parcel(delivery);
        var now = _time.GetTimestamp();
        var events = delivery.Events;

        // When the last one is answered, the list is not the sink's any more.
        DeliveryFailure? failure = null;
        for (int i = 0, count = events.Count; i < count; i++)
        {
            var waiting = new WaitingEvent(events[i], parcel, now);
            waiting.Event.Failure = failure;
            try
            {
                if (failure is null)
                    Enqueue(waiting);
            }
            catch (Exception exception) when (Exhaustion.IsCauseOf(exception))
            {
                // None after it is sent, because one of its entity may be among them.
                waiting.Event.Failure = failure = DeliveryFailure.OfEvent("The process lacks memory.");
            }

            if (failure is not null)
                Answer(waiting);
        }
    }

    private void Enqueue(WaitingEvent waiting)
    {
        if (!_followers.TryGetValue(waiting.Entity, out var followers))
        {
            _followers.Add(waiting.Entity, null);
            MakeReady(waiting);
            return;
        }

        if (followers is null)
            _followers[waiting.Entity] = followers = new();
        followers.Enqueue(waiting);
    }

    private void MakeReady(WaitingEvent waiting)
    {
        var target = TargetOf(waiting.Event);
        _ready.Add(target);
        target.Ready.Enqueue(waiting);
        target.ReadyBytes += waiting.Bytes;
    }

    // Starts what can be started; returns the time until there is something to do again.
    private TimeSpan StartRequests()
    {
        var wait = Timeout.InfiniteTimeSpan;
        foreach (var target in _ready)
        {
            while (target.Ready.Count > 0)
            {
                var now = _time.GetTimestamp();
                if (_isClosing)
                    AnswerReady(target, Closing);
                else if (target.PausedUntil > now)
                    AnswerReady(target, PauseOf(target, _time.GetElapsedTime(now, target.PausedUntil)));
                else if (target.InProgress >= _configuration.Concurrency)
                    break;
                else if (LingerOf(target, now) is var linger && linger > TimeSpan.Zero)
                {
                    if (wait == Timeout.InfiniteTimeSpan || linger < wait)
                        wait = linger;
                    break;
                }
                else
                    Start(target);
            }
        }

        _ready.RemoveWhere(t => t.Ready.Count == 0);
        return wait;
    }

    private TimeSpan LingerOf(WebhookTarget target, long now) =>
        _batch is null || target.Ready.Count >= _batch.Events || target.ReadyBytes >= _batch.Bytes
            ? TimeSpan.Zero
            : _batch.Linger - _time.GetElapsedTime(target.Ready.Peek().Since, now);

    private void Start(WebhookTarget target)
    {
        var events = new List<WaitingEvent>();
        long bytes = 0;
        while (target.Ready.TryPeek(out var next) && Fits(next))
        {
            target.Ready.Dequeue();
            target.ReadyBytes -= next.Bytes;
            Add(next);
            var followers = _followers[next.Entity];
            while (followers is not null && followers.TryPeek(out var follower) && Fits(follower) && TargetOf(follower.Event) == target)
                Add(followers.Dequeue());
        }

        target.InProgress++;
        _requests++;
        var request = new WebhookRequest(target, [.. events], _batch is not null);
        _ = Task.Run(async () =>
        {
            await request.Send(_client, _abort.Token).ConfigureAwait(false);
            _inbox.Writer.TryWrite(request);
        });

        bool Fits(WaitingEvent next) => events.Count == 0 || (_batch is not null && events.Count < _batch.Events && bytes + next.Bytes <= _batch.Bytes);

        void Add(WaitingEvent next)
        {
            events.Add(next);
            bytes += next.Bytes;
        }
    }

    private void Settle(WebhookRequest request)
    {
        request.Target.InProgress--;
        _requests--;
        Note(request);
        for (var i = 0; i < request.Events.Count; i++)
        {
            // When the last event of a delivery is answered, its events are not the sink's any more.
            var single = request.Events[i];
            var failure = single.Event.Failure is { IsFinal: false } forNow ? forNow : null;
            Answer(single);

            // Those of one entity are next to each other.
            if (i + 1 == request.Events.Count || request.Events[i + 1].Entity != single.Entity)
                GoOn(single.Entity, failure);
        }
    }

    // The next event of an entity is ready. After a failure for now, none may be sent before the one that failed.
    private void GoOn(EntityKey entity, DeliveryFailure? failure)
    {
        if (failure is null && _followers[entity] is { Count: > 0 } followers)
        {
            MakeReady(followers.Dequeue());
            return;
        }

        _followers.Remove(entity, out var waiting);
        foreach (var next in waiting ?? [])
            Answer(next, failure!);
    }

    private void Note(WebhookRequest request)
    {
        var target = request.Target;
        if (request.Failure is { Scope: FailureScope.Destination } failure)
        {
            target.Error = failure.Error;
            if (failure.RetryAfter is { } wait)
                target.PausedUntil = _time.GetTimestamp() + (long)(wait.TotalSeconds * _time.TimestampFrequency);
            _isDown = true;
            if (_health.Down(failure.Error))
                LogDown(Name, failure.Error);
        }
        else if (request.IsAnswered)
        {
            target.Error = null;
            if (!_isDown || _targets.Values.Any(t => t.Error is not null))
                return;
            _isDown = false;
            if (_health.Up())
                LogUp(Name);
        }
    }

    private static DeliveryFailure PauseOf(WebhookTarget target, TimeSpan left) =>
        DeliveryFailure.OfDestination(target.Name, target.Error ?? $"{target.Shown} asked for a pause.") with { RetryAfter = left };

    private void AnswerReady(WebhookTarget target, DeliveryFailure failure)
    {
        while (target.Ready.TryDequeue(out var waiting))
        {
            Answer(waiting, failure);
            GoOn(waiting.Entity, failure);
        }

        target.ReadyBytes = 0;
    }

    private void Answer(WaitingEvent waiting, DeliveryFailure failure)
    {
        waiting.Event.Failure = failure;
        Answer(waiting);
    }

    private void Answer(WaitingEvent waiting)
    {
        if (waiting.Parcel.Answered() is { } complete)
            _health.Complete(complete);
    }

    // The sink is closed.
    private void Answer(Delivery delivery)
    {
        foreach (var single in delivery.Events)
            single.Failure = Closing;
        _health.Complete(delivery);
    }

    private WebhookTarget TargetOf(SinkEvent single)
    {
        var topic = _address.IsTemplate ? single.Topic : "";
        if (_targets.TryGetValue(topic, out var target))
            return target;
        var address = _address.For(single.Topic, single.Source);
        var shown = WebhookAddress.Shown(address);
        return _targets.GetOrAdd(topic, new WebhookTarget(address, _address.IsTemplate ? single.Topic : shown, shown));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sink {Sink}: {Reason}")]
    private partial void LogDown(string sink, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sink {Sink}: all receivers take requests again")]
    private partial void LogUp(string sink);
}
