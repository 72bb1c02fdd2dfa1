using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace CdcOrleans.Sinks;

/// <summary>Registers sinks and formats.</summary>
public static class SinkServices
{
    /// <summary>
    /// Adds <see cref="ISinkFactory"/>, <see cref="IRowFormatter"/> and the formats: each as <see cref="IEventFormat"/>, found by
    /// <see cref="IEventFormat.Name"/> among them all. A <see cref="TimeProvider"/> registered before is kept.
    /// </summary>
    public static IServiceCollection AddSinks(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ISinkFactory, SinkFactory>();
        services.TryAddSingleton<IRowFormatter, JsonRowFormatter>();
        services.TryAddEnumerable(
        [
            ServiceDescriptor.Singleton<IEventFormat, DebeziumFormat>(),
            ServiceDescriptor.Singleton<IEventFormat, FlatFormat>(),
            ServiceDescriptor.Singleton<IEventFormat, CloudEventsFormat>(),
        ]);
        return services;
    }
}
