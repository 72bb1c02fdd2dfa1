using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks;

/// <summary>Creates sinks of the types in <see cref="SinkTypes"/>.</summary>
internal sealed class SinkFactory(TimeProvider time, ILoggerFactory logs) : ISinkFactory
{
    /// <inheritdoc />
    public ISink Create(SinkConfiguration configuration)
    {
        if (SinkTypes.All.FirstOrDefault(t => t.Name == configuration.Type) is ICreatingSinkType type)
            return type.Create(configuration, time, logs);
        var names = string.Join(", ", SinkTypes.All.Select(t => t.Name));
        throw new ArgumentException($"Sink '{configuration.Name}': type '{configuration.Type}' is not known. The types are {names}.", nameof(configuration));
    }
}
