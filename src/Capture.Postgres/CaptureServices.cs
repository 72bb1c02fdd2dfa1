using CdcOrleans.Model.Capture;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Registers capture from PostgreSQL.</summary>
public static class CaptureServices
{
    /// <summary>
    /// Adds <see cref="ISourceCaptureFactory"/>, <see cref="IChunkReaderFactory"/> and <see cref="ICapturedTables"/>. They need an
    /// <see cref="Model.Schemas.ISchemaStore"/> and logging.
    /// </summary>
    public static IServiceCollection AddPostgresCapture(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ISourceCaptureFactory, PostgresSourceCaptureFactory>();
        services.TryAddSingleton<IChunkReaderFactory, Backfills.ChunkReaderFactory>();
        services.TryAddSingleton<ICapturedTables, Checks.CapturedTables>();
        return services;
    }
}
