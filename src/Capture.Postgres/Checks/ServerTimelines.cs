using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Npgsql;
using Npgsql.Replication;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>The timeline of a server's log, and those that it came from.</summary>
/// <param name="Log">The server and its current timeline.</param>
/// <param name="History">
/// The timelines before, each with the position at which it was left, oldest first; null when the server did not give its history.
/// </param>
internal sealed record ServerTimelines(ServerLog Log, IReadOnlyList<TimelineSwitch>? History)
{
    /// <summary>The first timeline of a server, which has no history.</summary>
    public const uint First = 1;

    /// <summary>Makes it from the content of the server's history file.</summary>
    /// <param name="system">The server's system identifier.</param>
    /// <param name="timeline">Its current timeline.</param>
    /// <param name="history">Content of the history file of that timeline; null when the server did not give it.</param>
    public static ServerTimelines Of(string system, uint timeline, string? history)
    {
        var switches = timeline == First ? [] : history is null ? null : Parse(history);
        Lsn? begin = timeline == First ? Lsn.None : switches is { Count: > 0 } ? switches[^1].End : null;
        return new ServerTimelines(new ServerLog(system, timeline, begin), switches);
    }

    /// <summary>Asks the server. The connection must not stream yet.</summary>
    public static async Task<ServerTimelines> Read(LogicalReplicationConnection connection, CancellationToken cancellation)
    {
        var system = await connection.IdentifySystem(cancellation);
        string? history = null;
        if (system.Timeline != First)
        {
            try
            {
                var row = await ReadSingleRow(connection, string.Create(CultureInfo.InvariantCulture, $"TIMELINE_HISTORY {system.Timeline}"), cancellation);
                history = row[1] is byte[] bytes ? Encoding.UTF8.GetString(bytes) : row[1] as string;
            }
            catch (PostgresException)
            {
                // The file may have been removed, or the service does not give it. The check then says what that means.
            }
        }

        return Of(system.SystemId, system.Timeline, history);
    }

    /// <summary>Connects to a server and asks it for its log.</summary>
    public static async Task<ServerLog> LogOf(SourceConnection place, Version version, CancellationToken cancellation)
    {
        await using var connection = new LogicalReplicationConnection(place.Replication(version));
        await connection.Open(cancellation);
        return (await Read(connection, cancellation)).Log;
    }

    // Npgsql's own TimelineHistory expects bytes, and newer servers send text: it throws InvalidCastException then.
    [UnsafeAccessor(UnsafeAccessorKind.Method)]
    private static extern Task<object[]> ReadSingleRow(ReplicationConnection connection, string command, CancellationToken cancellation);

    // Each line has the number of a timeline, the position at which it was left, and a reason.
    private static List<TimelineSwitch>? Parse(string history)
    {
        var switches = new List<TimelineSwitch>();
        foreach (var line in history.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == '#')
                continue;
            var fields = line.Split((char[]?)null, 3, StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 2 || !uint.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var timeline))
                return null;
            try
            {
                switches.Add(new TimelineSwitch(timeline, Lsn.Parse(fields[1])));
            }
            catch (FormatException)
            {
                return null;
            }
        }

        return switches;
    }
}

/// <summary>A timeline that a server's log has left.</summary>
/// <param name="Timeline">Its number.</param>
/// <param name="End">Where it was left: the log is the same up to here.</param>
internal readonly record struct TimelineSwitch(uint Timeline, Lsn End);
