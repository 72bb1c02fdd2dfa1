using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <content>Reading at a replica, if the source has one for its backfills.</content>
internal sealed partial class ChunkReader
{
    /// <summary>Time between two looks at the timeline of a replica that is waited for.</summary>
    private static readonly TimeSpan TimelineInterval = TimeSpan.FromSeconds(5);

    private long? _checkedAt;
    private ServerLog? _log;

    // Once for all tables that are planned; each chunk checks it again.
    private async Task CheckReplica(CancellationToken cancellation)
    {
        if (_replica is not { } replica || _checkedAt is not null)
            return;
        await AtReplica(
            replica, null, "looking at it",
            async connection =>
            {
                var facts = await ReplicaFacts.Read(connection, cancellation);
                await replica.Check(connection, facts, await Primary(cancellation), cancellation);
                return true;
            },
            cancellation);
        _checkedAt = _time.GetTimestamp();
    }

    private async Task<string?> UnsettledAtReplica(BackfillHorizon horizon, CancellationToken cancellation) =>
        _replica is not { } replica ? null : await AtReplica(
            replica, null, "waiting until it has the horizon",
            async connection =>
            {
                var facts = await ReplicaFacts.Read(connection, cancellation);
                var primary = await Primary(cancellation);
                if (replica.Mismatch(facts, primary) is { } mismatch)
                    throw mismatch;
                if (replica.Unsettled(facts, primary, horizon) is not { } unsettled)
                    return null;
                if (_checkedAt is not { } at || _time.GetElapsedTime(at) >= TimelineInterval)
                {
                    await replica.Check(connection, facts, primary, cancellation);
                    _checkedAt = _time.GetTimestamp();
                }

                return unsettled;
            },
            cancellation);

    private Task<TableChunk> ReadAtReplica(ChunkRequest request, CancellationToken cancellation) => AtReplica(
        _replica!, request.Scope, "reading existing rows",
        async connection =>
        {
            // Before the table is locked, because the replica may not have it yet.
            await Settled(connection, request.Horizon, cancellation);
            await using var transaction = await Begin(connection, request.Scope, request.Bounds, cancellation);
            var facts = await ReplicaFacts.Read(connection, cancellation);

            // After the snapshot was taken.
            var primary = await Primary(cancellation);
            await _replica!.Check(connection, facts, primary, cancellation);
            var chunk = await ReadRows(connection, request, new ChunkSnapshot(facts.Snapshot, primary.Flushed), primary.SlotHorizon, cancellation);
            await transaction.RollbackAsync(cancellation);
            return chunk with { IsFromReplica = true };
        },
        cancellation);

    // The replica goes on while the session lasts, so what it has now it has later, too.
    private async Task Settled(NpgsqlConnection connection, BackfillHorizon horizon, CancellationToken cancellation)
    {
        var facts = await ReplicaFacts.Read(connection, cancellation);
        var primary = await Primary(cancellation);
        if (_replica!.Mismatch(facts, primary) is { } mismatch)
            throw mismatch;
        if (_replica.Unsettled(facts, primary, horizon) is { } unsettled)
            throw new CaptureException(unsettled, transient: true);
    }

    private Task<PrimaryFacts> Primary(CancellationToken cancellation) =>
        Ask(
            async connection =>
            {
                var facts = await PrimaryFacts.Read(connection, _source.Slot, cancellation);
                if (facts.Log.Timeline == ServerTimelines.First)
                    return facts;
                if (_log is not { } log || !log.MayBe(facts.Log))
                    _log = log = await ServerTimelines.LogOf(_place, connection.PostgreSqlVersion, cancellation);
                return log.MayBe(facts.Log) ? facts with { Log = log } : throw _failure.Changed(facts.Log, log);
            },
            null, "asking where the log of the source is", cancellation);

    private async Task<T> AtReplica<T>(
        Replica replica, BackfillScope? scope, string doing, Func<NpgsqlConnection, Task<T>> question, CancellationToken cancellation)
    {
        try
        {
            await using var connection = await replica.Open(cancellation);
            return await question(connection);
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException)
        {
            cancellation.ThrowIfCancellationRequested();
            if (scope is not null && exception is PostgresException refusal && ChunkFailure.Of(refusal, _source, scope, replica.Setting) is { } failure)
                throw failure;
            var trouble = replica.Failure.Of(exception, doing);

            // As long as it is not known how far the replica is, it may lack a role, a privilege or a database that the source has.
            throw scope is null && !trouble.Transient
                ? new CaptureException($"{trouble.Message} It is tried again, because the replica may be behind.", transient: true, exception)
                : trouble;
        }
    }
}
