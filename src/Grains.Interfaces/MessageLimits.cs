namespace CdcOrleans.Grains.Interfaces;

/// <summary>
/// Size limits of messages between silos, and between a gateway and a silo, as Orleans counts them, with the header. Windows limit the
/// total of all messages; these limits apply to a single message.
/// </summary>
public static class MessageLimits
{
    /// <summary>Maximum size of the body of a message, in bytes.</summary>
    public const int MostBytes = int.MaxValue - (64 << 20);

    /// <summary>
    /// Maximum size of a change in bytes (<see cref="Model.Changes.RowChange.Size"/>). A change of this size is sent in a message of its
    /// own.
    /// </summary>
    public const int MostOfChange = MostBytes - (64 << 20);
}
