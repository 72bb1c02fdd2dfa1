using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Creates captures of PostgreSQL databases.</summary>
internal sealed class PostgresSourceCaptureFactory(ISchemaStore schemas, TimeProvider time, ILogger<PostgresSourceCapture> logger)
    : ISourceCaptureFactory
{
    public ISourceCapture Create(SourceConfiguration source) => new PostgresSourceCapture(source, schemas, time, logger);
}
