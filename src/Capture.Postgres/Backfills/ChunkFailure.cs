using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>What the server refuses while a table is read in chunks, with the remedy.</summary>
internal static class ChunkFailure
{
    /// <summary>Converts a refusal; null when it has nothing to do with the table.</summary>
    /// <param name="refusal">What the server says.</param>
    /// <param name="source">The source.</param>
    /// <param name="scope">What is read.</param>
    /// <param name="setting">The place of the connection in the configuration.</param>
    public static CaptureException? Of(PostgresException refusal, SourceConfiguration source, BackfillScope scope, string setting)
    {
        var table = Sql.Name(scope.Schema, scope.Table);
        return refusal.SqlState switch
        {
            PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName => New(
                "does not exist",
                "Write it as schema.table, in the case in which it was created. If it was renamed since, start a backfill of it by its new name."),
            PostgresErrorCodes.InsufficientPrivilege when refusal.MessageText.Contains("row-level security", StringComparison.Ordinal) => New(
                $"has row-level security, and the role of {setting} may not see all rows", "Give the role BYPASSRLS."),
            PostgresErrorCodes.InsufficientPrivilege => New(
                $"cannot be read by the role of {setting}: {refusal.MessageText}",
                $"Run GRANT USAGE ON SCHEMA {Sql.Name(scope.Schema)} TO …; and GRANT SELECT ON {table} TO …; for a table without a key also for each of its partitions."),
            PostgresErrorCodes.LockNotAvailable => New("is locked by another session", "It is tried again.", transient: true),
            // Only a standby cancels what reads: it must replay a change that removes what is read.
            PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected => New(
                $"could not be read to the end at {setting}: {refusal.MessageText} ({refusal.SqlState})",
                "It is tried again. If this lasts, set hot_standby_feedback = on there, or raise max_standby_streaming_delay.", transient: true),
            PostgresErrorCodes.QueryCanceled => New(
                "could not be read in time", "It is tried again. If this lasts, see whether the server is overloaded, and whether the filter can use the index of the key.", transient: true),
            PostgresErrorCodes.ProgramLimitExceeded => New(
                "has a row whose text is longer than the 1 GB that the server can have in memory at once", "Leave its large columns out (columns), or shorten the value."),
            PostgresErrorCodes.InternalError when refusal.MessageText.Contains("memory alloc request size", StringComparison.Ordinal) => New(
                "has a row whose text is longer than the 1 GB that the server can have in memory at once", "Leave its large columns out (columns), or shorten the value."),
            // The message of the server has the value.
            _ when refusal.SqlState.StartsWith("22", StringComparison.Ordinal) => New(
                $"was asked for a key or value that is not one of the column's type, or its filter (where) fails for a row ({refusal.SqlState})",
                "Check the keys, and values in the filter."),
            _ when scope.Where is { } where && refusal.SqlState.StartsWith("42", StringComparison.Ordinal) => New(
                $"was altered, so its filter (where), '{where}', is not a condition any more that the server accepts: {refusal.MessageText} ({refusal.SqlState})",
                "Start another backfill with a filter on its present columns."),
            _ => null,
        };

        CaptureException New(string why, string remedy, bool transient = false) =>
            new($"backfill of sources.{source.Name}: table {scope.FullName} {why}. {remedy}", transient, refusal);
    }
}
