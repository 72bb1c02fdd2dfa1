using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.File;
using CdcOrleans.Sinks.Kafka;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks;

/// <summary>Creates the sinks of this assembly.</summary>
internal sealed class SinkFactory(TimeProvider time, ILoggerFactory logs) : ISinkFactory
{
    /// <inheritdoc />
    public ISink Create(SinkConfiguration configuration) => configuration switch
    {
        KafkaSinkConfiguration kafka => new KafkaSink(kafka, time, logs.CreateLogger<KafkaSink>()),
        FileSinkConfiguration file => new FileSink(file, time, logs.CreateLogger<FileSink>()),
        _ => throw new ArgumentException($"Sink '{configuration.Name}': type '{configuration.Type}' is not known. Use kafka or file.", nameof(configuration)),
    };
}
