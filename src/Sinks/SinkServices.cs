using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace CdcOrleans.Sinks;

/// <summary>Registers sinks and formats.</summary>
public static class SinkServices
{
    /// <summary>
    /// Adds <see cref="ISinkFactory"/>, <see cref="IRowFormatter"/> and the formats. Each format is registered as an <see
    /// cref="IEventFormat"/>, and as a keyed service with <see cref="IEventFormat.Name"/> as its key. An existing <see
    /// cref="TimeProvider"/> is kept.
    /// </summary>
    public static IServiceCollection AddSinks(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ISinkFactory, SinkFactory>();
        services.TryAddSingleton<IRowFormatter, JsonRowFormatter>();
        AddFormat<DebeziumFormat>(services, "debezium");
        AddFormat<FlatFormat>(services, "flat");
        AddFormat<CloudEventsFormat>(services, "cloudevents");
        return services;
    }

    private static void AddFormat<T>(IServiceCollection services, string name)
        where T : class, IEventFormat
    {
        services.TryAddSingleton<T>();
        services.AddSingleton<IEventFormat>(s => s.GetRequiredService<T>());
        services.AddKeyedSingleton<IEventFormat>(name, (s, _) => s.GetRequiredService<T>());
    }
}
