using System.Runtime.InteropServices;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>
/// When a sink last accepted something. Written for each event by the threads that answer, so it has a line of the processor's cache for
/// itself: what lies beside it is read for each event by other threads. Safe for concurrent use.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 192)]
internal sealed class LastSuccess
{
    [FieldOffset(64)]
    private long _at;

    /// <summary>The time, as a timestamp of the clock; 0 before the first.</summary>
    public long At
    {
        get => Volatile.Read(ref _at);
        set => Volatile.Write(ref _at, value);
    }
}
