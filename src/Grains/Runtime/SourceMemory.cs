using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Grains.Runtime;

/// <summary>How much memory a source may use on one silo.</summary>
internal static class SourceMemory
{
    /// <summary>The default is no more than this, for any process.</summary>
    private const long MostByDefault = 512L << 20;

    /// <summary>The default is no less than so many windows, for any process.</summary>
    private const int LeastWindows = 3;

    /// <summary>Returns the memory of a source: the configured one; otherwise a quarter of the process's memory is shared by all sources.</summary>
    /// <param name="source">The source.</param>
    /// <param name="sources">Number of sources.</param>
    /// <param name="available">Memory that the process may use, in bytes.</param>
    public static long Of(SourceConfiguration source, int sources, long available) =>
        source.MemoryBytes ?? Math.Max(LeastWindows * source.WindowBytes, Math.Min(MostByDefault, available / 4 / Math.Max(1, sources)));

    /// <summary>Returns the part of it that is not for the changes in the window, but for their applies and for what is not durable.</summary>
    public static long BesideWindow(SourceConfiguration source, long memory) => Math.Max(source.WindowBytes, memory - source.WindowBytes);
}
