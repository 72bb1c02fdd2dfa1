using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A place within a transaction of the log.</summary>
/// <param name="Version">Version of the last change before the place, or of the transaction's begin.</param>
/// <param name="Xid">Id of the transaction.</param>
internal readonly record struct LogPlace(ChangeVersion Version, uint Xid);
