namespace CdcOrleans.Grains.Interfaces;

/// <summary>
/// How large messages between silos, and between a gateway and a silo, may be: as large as Orleans' framing counts, header and all.
/// What is on its way is bounded by windows; this bounds one message alone.
/// </summary>
public static class MessageLimits
{
    /// <summary>Bytes of a message's body.</summary>
    public const int MostBytes = int.MaxValue - (64 << 20);

    /// <summary>Bytes of a change (<see cref="Model.Changes.RowChange.Size"/>), which may go in a message alone.</summary>
    public const int MostOfChange = MostBytes - (64 << 20);
}
