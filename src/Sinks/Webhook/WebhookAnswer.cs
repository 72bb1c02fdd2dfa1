using System.Globalization;
using System.Net;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>What came of a request: delivered when there is no failure.</summary>
/// <param name="Failure">Why its events were not delivered; final when the receiver refuses them for good.</param>
/// <param name="IsAnswered">Whether the receiver answered and is there.</param>
internal readonly record struct WebhookAnswer(DeliveryFailure? Failure, bool IsAnswered)
{
    /// <summary>Longest time after which a receiver is tried again because it asked for it.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    public static readonly WebhookAnswer Delivered = new(null, IsAnswered: true);

    /// <summary>Judges a status.</summary>
    /// <param name="shown">The address for people.</param>
    /// <param name="destination">Name of the destination.</param>
    /// <param name="status">The status of the answer.</param>
    /// <param name="retryAfter">The time after which the receiver asked to be tried again; null when it did not say.</param>
    /// <param name="retryStatuses">Statuses of the class 4xx that are no fault of the event.</param>
    public static WebhookAnswer Of(string shown, string destination, int status, TimeSpan? retryAfter, IReadOnlyList<int> retryStatuses)
    {
        if (status is >= 200 and < 300)
            return Delivered;
        var answered = string.Create(CultureInfo.InvariantCulture, $"{shown} answered {status} ({NameOf(status)}).");
        if (status is >= 300 and < 400)
            return Failed(destination, $"{answered} Redirects are not followed: set the sink's url to the address where the receiver is.");
        if (status is >= 400 and < 500 && !IsForNow(status) && !retryStatuses.Contains(status))
            return new WebhookAnswer(DeliveryFailure.Refused($"{answered} The receiver refuses the event for good."), IsAnswered: true);

        // Too Early is an answer to the event. The others are of the receiver as a whole.
        var failed = status == 425 && !retryStatuses.Contains(status)
            ? new WebhookAnswer(DeliveryFailure.OfEvent($"{answered} It is tried again."), IsAnswered: true)
            : Failed(destination, $"{answered} It is tried again.", answered: status < 500);
        return retryAfter is { } wait
            ? failed with { Failure = failed.Failure! with { RetryAfter = wait < TimeSpan.Zero ? TimeSpan.Zero : wait > LongestWait ? LongestWait : wait } }
            : failed;
    }

    /// <summary>The destination accepts nothing.</summary>
    public static WebhookAnswer Failed(string destination, string error, bool answered = false) =>
        new(DeliveryFailure.OfDestination(destination, error), answered);

    // Request Timeout, Too Early, Too Many Requests.
    private static bool IsForNow(int status) => status is 408 or 425 or 429;

    private static string NameOf(int status) => Enum.IsDefined((HttpStatusCode)status) ? ((HttpStatusCode)status).ToString() : "not a known status";
}
