using CdcOrleans.Model.Capture;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Registers capture from PostgreSQL.</summary>
public static class CaptureServices
{
    /// <summary>
    /// Adds <see cref="ISourceCaptureFactory"/>. It needs an <see cref="Model.Schemas.ISchemaStore"/> and logging.
    /// </summary>
    public static IServiceCollection AddPostgresCapture(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ISourceCaptureFactory, PostgresSourceCaptureFactory>();
        return services;
    }
}
