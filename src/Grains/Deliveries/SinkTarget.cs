using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>A sink to which the events of a table go, with the policy of the route.</summary>
internal sealed class SinkTarget(Outlet outlet, DeliveryPolicy policy)
{
    private long _succeededAt;

    /// <summary>The way to the sink.</summary>
    public Outlet Outlet { get; } = outlet;

    /// <summary>How events are delivered that the sink does not accept at once.</summary>
    public DeliveryPolicy Policy { get; } = policy;

    /// <summary>When the sink last accepted an event of the table, as a timestamp of the clock.</summary>
    public long SucceededAt
    {
        get => Volatile.Read(ref _succeededAt);
        set => Volatile.Write(ref _succeededAt, value);
    }
}
