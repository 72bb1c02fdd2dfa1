using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>A sink to which the events of a table go, with the policy of the route.</summary>
internal sealed class SinkTarget(Outlet outlet, DeliveryPolicy policy)
{
    private readonly LastSuccess _success = new();

    /// <summary>The way to the sink.</summary>
    public Outlet Outlet { get; } = outlet;

    /// <summary>How events are delivered that the sink does not accept at once.</summary>
    public DeliveryPolicy Policy { get; } = policy;

    /// <summary>When the sink last accepted an event of the table, as a timestamp of the clock.</summary>
    public long SucceededAt
    {
        get => _success.At;
        set => _success.At = value;
    }
}
