using CdcOrleans.Grains.Interfaces.Configuration;

namespace CdcOrleans.Grains.Interfaces.Sinks;

/// <summary>Makes sinks of their configuration.</summary>
public interface ISinkFactory
{
    /// <summary>A sink; connects by itself.</summary>
    /// <exception cref="NotSupportedException">No sink of that type exists.</exception>
    ISink Create(SinkConfiguration configuration);
}
