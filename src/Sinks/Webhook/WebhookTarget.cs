using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>One address of a webhook sink, and what waits for it. Only the sink's loop uses the mutable part.</summary>
/// <param name="address">The address.</param>
/// <param name="name">Its name as a destination within the sink: its topic, or the address for people where all topics have one.</param>
/// <param name="shown">The address for people.</param>
internal sealed class WebhookTarget(Uri address, string name, string shown)
{
    public Uri Address { get; } = address;

    public string Name { get; } = name;

    public string Shown { get; } = shown;

    /// <summary>Events that can be sent, in the order in which they came; of each entity only the first.</summary>
    public Queue<WaitingEvent> Ready { get; } = new();

    /// <summary>Bytes of <see cref="Ready"/>.</summary>
    public long ReadyBytes { get; set; }

    /// <summary>Requests in progress.</summary>
    public int InProgress { get; set; }

    /// <summary>When it may be tried again, as a timestamp of the clock; 0 when it did not ask for a pause.</summary>
    public long PausedUntil { get; set; }

    /// <summary>The last failure; null when the last request succeeded.</summary>
    public string? Error { get; set; }
}

/// <summary>An event that waits for its request.</summary>
/// <param name="Event">The event.</param>
/// <param name="Parcel">Its delivery.</param>
/// <param name="Since">When it came, as a timestamp of the clock.</param>
internal readonly record struct WaitingEvent(SinkEvent Event, Parcel Parcel, long Since)
{
    public EntityKey Entity => Event.Entity;

    public int Bytes => (Event.Key?.Length ?? 0) + (Event.Value?.Length ?? 0);
}
