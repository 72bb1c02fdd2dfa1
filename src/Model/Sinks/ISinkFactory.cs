using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Sinks;

/// <summary>Makes sinks from their configuration.</summary>
public interface ISinkFactory
{
    /// <summary>Makes a sink, which starts to connect at once. Whoever made it disposes of it.</summary>
    /// <exception cref="ArgumentException">The type is unknown or an option is impossible; the message names sink, option and remedy.</exception>
    ISink Create(SinkConfiguration configuration);
}
