using Microsoft.Extensions.Logging;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>
/// Ends sessions of this product that block a statement and do nothing. A silo that is frozen, or whose host is gone, in the middle of a
/// checkpoint leaves a session in a transaction that waits for its client and keeps the locks of what it has written. No setting of the
/// server ends it: the client's system still answers for a frozen process, and between two messages of one batch no time limit applies.
/// So whoever waits for such a session ends it. Its checkpoint is rolled back, and refused when its silo tries again.
/// </summary>
/// <param name="control">The control database.</param>
/// <param name="logger">Logs what was ended.</param>
internal sealed partial class StalledSessions(NpgsqlDataSource control, ILogger logger)
{
    /// <summary>Time between two looks at what blocks a statement that waits.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Time for which a session must have waited for its client. Less than a silo takes to be declared dead, and much more than the pause
    /// between two messages of a batch.
    /// </summary>
    private static readonly TimeSpan Stalled = TimeSpan.FromSeconds(3);

    /// <summary>Completes with the statement that runs on a connection. Until then, it ends the stalled sessions that block it.</summary>
    public async Task<T> Watch<T>(NpgsqlConnection connection, Task<T> statement)
    {
        var session = connection.ProcessID;
        while (await Task.WhenAny(statement, Task.Delay(Interval)) != statement)
            await EndBlockersOf(session);
        return await statement;
    }

    // An error here must not be the statement's. The statement has time limits of its own.
    private async Task EndBlockersOf(int session)
    {
        try
        {
            await using var command = control.CreateCommand(
                """
                WITH RECURSIVE blockers (pid) AS (
                    SELECT b.pid FROM unnest(pg_blocking_pids($1)) AS b (pid)
                    UNION
                    SELECT b.pid FROM blockers AS nearer, unnest(pg_blocking_pids(nearer.pid)) AS b (pid))
                SELECT count(pg_terminate_backend(a.pid))
                FROM blockers JOIN pg_stat_activity AS a ON a.pid = blockers.pid
                WHERE a.datname = current_database() AND a.usename = current_user AND a.application_name = current_setting('application_name')
                    AND a.xact_start IS NOT NULL AND a.wait_event_type = 'Client' AND a.wait_event = 'ClientRead'
                    AND a.state_change < clock_timestamp() - $2
                """);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = session });
            command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = Stalled });
            if (await command.ExecuteScalarAsync() is long and > 0 and var ended)
                LogEnded(logger, ended);
        }
        catch (NpgsqlException trouble)
        {
            LogFailed(logger, trouble.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Ended {Count} sessions in the control database: they held locks in a transaction and had waited for their silo for seconds")]
    private static partial void LogEnded(ILogger logger, long count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What blocks a statement in the control database could not be looked at: {Error}")]
    private static partial void LogFailed(ILogger logger, string error);
}
