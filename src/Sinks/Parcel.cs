using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks;

/// <summary>A delivery, and how many of its events have no outcome yet.</summary>
internal sealed class Parcel(Delivery delivery)
{
    private int _left = delivery.Events.Count;

    /// <summary>One more event has an outcome; returns the delivery when it was the last.</summary>
    public Delivery? Answered() => --_left == 0 ? delivery : null;
}
