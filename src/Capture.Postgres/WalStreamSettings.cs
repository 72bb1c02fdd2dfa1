using CdcOrleans.Capture.Postgres.Schemas;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace CdcOrleans.Capture.Postgres;

/// <summary>What a WAL stream needs.</summary>
internal sealed record WalStreamSettings(
    SourceConfiguration Source, SourceConnection Place, CaptureFailure Failure, RelationAnnouncer Announcer, NpgsqlDataSource Database,
    Func<Lsn, CancellationToken, Task>? Reporting, TimeProvider Time, ILogger Logger);
