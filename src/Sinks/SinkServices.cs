using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Sinks;
using CdcOrleans.Sinks.File;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks;

/// <summary>Registers sinks and event formats.</summary>
public static class SinkServices
{
    /// <summary>Adds the sink factory, every event format, and the row formatter.</summary>
    public static IServiceCollection AddSinks(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ISinkFactory, SinkFactory>();
        services.AddSingleton<IEventFormat, DebeziumFormat>();
        services.AddSingleton<IRowFormatter, JsonRowFormatter>();
        return services;
    }
}

/// <inheritdoc />
internal sealed class SinkFactory(TimeProvider time, ILoggerFactory loggers) : ISinkFactory
{
    /// <inheritdoc />
    public ISink Create(SinkConfiguration configuration) => configuration switch
    {
        FileSinkConfiguration file => new FileSink(file, time, loggers.CreateLogger<FileSink>()),
        _ => throw new NotSupportedException($"Sink '{configuration.Name}' has the type '{configuration.Type}', which this version does not have."),
    };
}
