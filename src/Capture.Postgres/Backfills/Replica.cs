using System.Globalization;
using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// A standby of the source from which rows are read. It must replay the log of the source: nothing is read from a server that was promoted,
/// or that follows another one. It may lag, and rows are read only when it has replayed the horizon.
/// </summary>
internal sealed class Replica : IAsyncDisposable
{
    /// <summary>
    /// How far it may be behind. A row that it still has may be deleted at the source, and the mark of a deletion is kept for an hour at least
    /// (<see cref="ControlConfiguration.DeleteMarkerRetention"/>).
    /// </summary>
    private static readonly TimeSpan MostBehind = TimeSpan.FromMinutes(30);

    private readonly SourceConfiguration _source;
    private readonly string _name;
    private readonly SourceConnection _place;
    private readonly NpgsqlDataSource _database;

    public Replica(SourceConfiguration source, string name)
    {
        _source = source;
        _name = name;
        _place = new SourceConnection(source, name);
        _database = NpgsqlDataSource.Create(_place.Ordinary);
        Failure = new CaptureFailure(source, _place);
    }

    /// <summary>What goes wrong with its connection.</summary>
    public CaptureFailure Failure { get; }

    /// <summary>Its place in the configuration.</summary>
    public string Setting => _place.Setting;

    /// <summary>Opens a session.</summary>
    public ValueTask<NpgsqlConnection> Open(CancellationToken cancellation) => _database.OpenConnectionAsync(cancellation);

    /// <summary>
    /// Checks that it is a standby of the source, and that it replays the log of the source and not that of another server. Its timeline is
    /// asked for after <paramref name="replica"/> was read. So what it had replayed by then is in the log of the source.
    /// </summary>
    /// <param name="connection">The session.</param>
    /// <param name="replica">What it said of itself.</param>
    /// <param name="primary">What the source says.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">It is not. When that may pass, such as during a failover, the exception is transient.</exception>
    public async Task Check(NpgsqlConnection connection, ReplicaFacts replica, PrimaryFacts primary, CancellationToken cancellation)
    {
        if (Mismatch(replica, primary) is { } mismatch)
            throw mismatch;
        ServerLog log;
        try
        {
            log = await ServerTimelines.LogOf(_place, connection.PostgreSqlVersion, cancellation);
        }
        catch (PostgresException refusal)
        {
            throw Failure.Of(refusal, "asking for its timeline");
        }

        if (OtherTimeline(log, primary.Log) is { } other)
            throw other;
    }

    /// <summary>Says why it is not a copy of the source, as far as it is known without its timeline.</summary>
    internal CaptureException? Mismatch(ReplicaFacts replica, PrimaryFacts primary)
    {
        if (replica.SystemIdentifier != primary.Log.SystemIdentifier)
        {
            return Refused(
                $"is a copy of another server (system identifier {replica.SystemIdentifier}) than that of the source ({primary.Log.SystemIdentifier})",
                "Name a standby of the source.", transient: false);
        }

        if (!replica.IsStandby)
        {
            return Refused(
                "is not a standby: it was promoted, or it is the source itself. Nothing is read from it, because its rows may be others than those of the source",
                $"Name a standby, or leave out sources.{_source.Name}.backfill.replica to read from the source.", transient: true);
        }

        return replica.Database == primary.Database
            ? null
            : Refused($"leads to database {replica.DatabaseName}, which is not a copy of the source's database {primary.DatabaseName}", "Name that database in it.", transient: false);
    }

    /// <summary>Says that it follows another log than that of the source; null when it follows the same.</summary>
    internal CaptureException? OtherTimeline(ServerLog replica, ServerLog source) => source.MayBe(replica)
        ? null
        : Refused(
            $"replays timeline {Described(replica)}, and the source is on timeline {Described(source)}: after a failover it follows another server, or has not reached the new timeline yet",
            "Nothing is read from it until both are on the same. Let it follow the server that the source names.", transient: true);

    /// <summary>What is waited for until the replica shows everything from before the horizon and is not too far behind; null when nothing is.</summary>
    public string? Unsettled(ReplicaFacts replica, PrimaryFacts primary, BackfillHorizon horizon)
    {
        var behind = replica.Replayed is { } replayed && replayed < primary.Flushed ? primary.Flushed.Value - replayed.Value : 0;
        var isSettled = horizon.IsSettledIn(replica.Snapshot);
        if (isSettled && !(behind > 0 && replica.Age >= MostBehind))
            return null;
        var age = replica.Age is { } time ? $", and the last transaction that it has was committed {time.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s ago" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"backfill of sources.{_source.Name} waits until replica {_name} ({_place.Description}) {(isSettled ? "is less than half an hour behind" : "has everything from before its start")}: it has replayed the log up to {replica.Replayed}, {behind} bytes less than the source has{age}.{(replica.IsPaused ? " Its replay is paused; to go on, run SELECT pg_wal_replay_resume(); there." : "")}");
    }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static string Described(ServerLog log) => log.Begin is { } begin && begin != Model.Changes.Lsn.None
        ? string.Create(CultureInfo.InvariantCulture, $"{log.Timeline} (from {begin} on)")
        : log.Timeline.ToString(CultureInfo.InvariantCulture);

    private CaptureException Refused(string why, string remedy, bool transient) => new($"{_place.Setting}: {_place.Description} {why}. {remedy}", transient);
}
