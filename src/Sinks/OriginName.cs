using CdcOrleans.Grains.Interfaces.Sinks;

namespace CdcOrleans.Sinks;

/// <summary>Values of the <c>cdc.origin</c> header.</summary>
internal static class OriginName
{
    public static string Of(EventOrigin origin) => origin switch
    {
        EventOrigin.Stream => "stream",
        EventOrigin.Backfill => "backfill",
        EventOrigin.Replay => "replay",
        EventOrigin.Redelivery => "redelivery",
        _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "An event's origin is one of stream, backfill, replay, redelivery."),
    };
}
