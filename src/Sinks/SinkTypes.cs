using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.File;
using CdcOrleans.Sinks.Kafka;
using CdcOrleans.Sinks.Webhook;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks;

/// <summary>The types of sinks. A new one is added here, and nowhere else.</summary>
public static class SinkTypes
{
    /// <summary>All types, in the order in which messages name them.</summary>
    public static IReadOnlyList<ISinkType> All { get; } = [new KafkaSinkType(), new FileSinkType(), new WebhookSinkType()];
}

/// <summary>A type of sink of this assembly: it also creates the sink.</summary>
internal interface ICreatingSinkType : ISinkType
{
    /// <summary>Creates a sink, which starts to connect at once.</summary>
    /// <exception cref="ArgumentException">The configuration is of another type, or an option has a value that is not allowed.</exception>
    ISink Create(SinkConfiguration configuration, TimeProvider time, ILoggerFactory logs);
}

/// <inheritdoc cref="ICreatingSinkType" />
/// <typeparam name="TConfiguration">The record of its settings.</typeparam>
internal abstract class SinkType<TConfiguration> : ICreatingSinkType
    where TConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public abstract string Name { get; }

    /// <inheritdoc />
    public abstract IReadOnlyList<string> Keys { get; }

    /// <inheritdoc cref="ISinkType.Read" />
    public abstract TConfiguration? Read(string name, ISettings settings, string folder);

    /// <inheritdoc cref="ICreatingSinkType.Create" />
    public abstract ISink Create(TConfiguration configuration, TimeProvider time, ILoggerFactory logs);

    SinkConfiguration? ISinkType.Read(string name, ISettings settings, string folder) => Read(name, settings, folder);

    ISink ICreatingSinkType.Create(SinkConfiguration configuration, TimeProvider time, ILoggerFactory logs) =>
        configuration is TConfiguration own
            ? Create(own, time, logs)
            : throw new ArgumentException($"Sink '{configuration.Name}': its configuration is not one of type '{Name}'.", nameof(configuration));
}
