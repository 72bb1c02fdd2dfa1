using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>Creates readers of existing rows of PostgreSQL databases.</summary>
internal sealed class ChunkReaderFactory(ISchemaStore schemas, TimeProvider time, ILogger<ChunkReader> logger) : IChunkReaderFactory
{
    public IChunkReader Create(SourceConfiguration source) => new ChunkReader(source, schemas, time, logger);
}
