using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>The address of a source leads to another server than before.</summary>
public sealed class OtherServerTests
{
    [Fact]
    public async Task A_standby_promoted_between_check_and_stream_is_not_streamed_but_checked()
    {
        await using var primary = await PostgresServer.Start();
        var database = await primary.CreateDatabase("db");
        await PostgresServer.Execute(database, "CREATE TABLE t (id int PRIMARY KEY)");
        await using var standby = await primary.Standby();
        await using var capture = new CaptureUnderTest("moved", database, ["public.t"]);
        var first = await capture.Capture.Prepare(null, CancellationToken.None);
        Assert.Equal((1u, Lsn.None), (first.Log.Timeline, first.Log.Begin));
        await primary.Stop();
        await standby.Promote();
        await standby.TakeAddress(primary);

        var changed = await Assert.ThrowsAsync<CaptureException>(async () =>
        {
            // The slot is looked for first.
            await capture.Execute($"SELECT pg_create_logical_replication_slot('{capture.Source.Slot}', 'pgoutput')");
            while (true)
            {
                try
                {
                    await capture.Capture.Stream(null, CancellationToken.None);
                    return;
                }
                catch (CaptureException failed) when (failed.Transient && !failed.Message.Contains("another server", StringComparison.Ordinal))
                {
                    // A pooled connection to the former server.
                }
            }
        });
        Assert.True(changed.Transient, changed.Message);
        Assert.Contains($"127.0.0.1:{primary.Port} (user postgres, database db) is another server, or on another timeline", changed.Message, StringComparison.Ordinal);
        Assert.Contains("timeline 2; checked:", changed.Message, StringComparison.Ordinal);

        // What was read up to the promotion is all there; only the slot is another one.
        var now = await capture.Capture.Prepare(null, CancellationToken.None);
        Assert.Equal(2u, now.Log.Timeline);
        Assert.True(now.Log.Begin >= first.ConfirmedLsn);
        var another = await Assert.ThrowsAsync<CaptureException>(
            () => capture.Capture.Prepare(Last(first.Log, first.ConfirmedLsn, now.Log.Begin!.Value), CancellationToken.None));
        Assert.Contains($"slot {capture.Source.Slot} begins at {now.ConfirmedLsn}, but it was read only up to {first.ConfirmedLsn}", another.Message, StringComparison.Ordinal);

        // A transaction may have been delivered and not confirmed.
        var lost = await Assert.ThrowsAsync<CaptureException>(
            () => capture.Capture.Prepare(Last(first.Log, first.ConfirmedLsn, new Lsn(now.Log.Begin!.Value.Value + 1)), CancellationToken.None));
        Assert.False(lost.Transient);
        Assert.Contains($"left timeline 1 at {now.Log.Begin}, but timeline 1 was read up to", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_of_another_identifier_is_refused_by_both()
    {
        await using var server = await PostgresServer.Start();
        var database = await server.CreateDatabase("db");
        await PostgresServer.Execute(database, "CREATE TABLE t (id int PRIMARY KEY)");
        await using var capture = new CaptureUnderTest("other", database, ["public.t"]);
        var facts = await capture.Capture.Prepare(null, CancellationToken.None);
        var refused = await Assert.ThrowsAsync<CaptureException>(
            () => capture.Capture.Prepare(Last(facts.Log with { SystemIdentifier = "4711" }, facts.ConfirmedLsn, Lsn.None), CancellationToken.None));
        Assert.False(refused.Transient);
        Assert.Contains(
            $"this is not the server that was read before (the system identifier was 4711, and is now {facts.Log.SystemIdentifier})", refused.Message, StringComparison.Ordinal);
        Assert.Contains("cdc.accept_gap('other')", refused.Message, StringComparison.Ordinal);
    }

    private static Func<CancellationToken, Task<ConfirmedPosition?>> Last(ServerLog log, Lsn confirmed, Lsn delivered) =>
        _ => Task.FromResult<ConfirmedPosition?>(new ConfirmedPosition(log, confirmed, GapAccepted: false) { Delivered = delivered });
}
