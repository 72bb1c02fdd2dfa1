using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>
/// Events that are sent together, in order. If the receiver refuses several, they are sent again in two halves, one after the other, and so
/// on, so that one bad event does not take its neighbours with it. After an event that failed for now, none of its entity is sent. When the
/// receiver accepts nothing for now, nothing after it is sent.
/// </summary>
internal sealed class WebhookRequest(WebhookTarget target, WaitingEvent[] events, bool isBatch)
{
    private readonly SinkEvent[] _events = Array.ConvertAll(events, e => e.Event);

    public WebhookTarget Target { get; } = target;

    /// <summary>Its events; each has its outcome when it was sent.</summary>
    public IReadOnlyList<WaitingEvent> Events => events;

    /// <summary>Whether the receiver answered to something, be it with a refusal.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>Why the receiver accepts nothing for now; null when it accepts something.</summary>
    public DeliveryFailure? Failure { get; private set; }

    /// <summary>Sends the events. Never throws.</summary>
    public async Task Send(WebhookClient client, CancellationToken abort)
    {
        var parts = new Stack<(int Start, int Count)>([(0, _events.Length)]);
        SinkEvent? failed = null;
        while (parts.TryPop(out var part))
        {
            // Those of one entity are next to each other.
            while (failed is not null && part.Count > 0 && _events[part.Start].Entity == failed.Entity)
            {
                _events[part.Start].Failure = failed.Failure;
                part = (part.Start + 1, part.Count - 1);
            }

            if (part.Count == 0)
                continue;
            var answer = await SendPart(client, part.Start, part.Count, abort).ConfigureAwait(false);
            IsAnswered |= answer.IsAnswered;
            if (answer.Failure is not { } failure)
                continue;
            if (!failure.IsFinal && failure.Scope != FailureScope.Event)
            {
                Failure = failure;
                for (var i = part.Start; i < _events.Length; i++)
                    _events[i].Failure = failure;
                return;
            }

            if (part.Count == 1)
            {
                _events[part.Start].Failure = failure;
                if (!failure.IsFinal)
                    failed = _events[part.Start];
                continue;
            }

            var half = part.Count / 2;
            parts.Push((part.Start + half, part.Count - half));
            parts.Push((part.Start, half));
        }
    }

    private async Task<WebhookAnswer> SendPart(WebhookClient client, int start, int count, CancellationToken abort)
    {
        WebhookMessage message;
        try
        {
            message = isBatch ? WebhookMessage.Batch(_events.AsSpan(start, count)) : WebhookMessage.Single(_events[start]);
        }
#pragma warning disable CA1031 // Whatever went wrong, the events must have an outcome.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return new WebhookAnswer(
                Exhaustion.IsCauseOf(failure)
                    ? DeliveryFailure.OfEvent("The process lacks memory.")
                    : DeliveryFailure.Refused($"The event cannot be written as a request: {failure.GetType().Name}."),
                IsAnswered: false);
        }

        return await client.Send(Target, message, abort).ConfigureAwait(false);
    }
}
