using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Sinks;

/// <summary>Creates sinks from their configuration.</summary>
public interface ISinkFactory
{
    /// <summary>Creates a sink, which starts to connect at once. The caller disposes it.</summary>
    /// <exception cref="ArgumentException">
    /// The type is unknown, or an option has a value that is not allowed. The message names the sink, the option and the remedy.
    /// </exception>
    ISink Create(SinkConfiguration configuration);
}
