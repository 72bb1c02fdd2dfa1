using CdcOrleans.Model.Capture;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Capture;

public sealed class ServerStopTests
{
    [Theory]
    [InlineData("fast")]
    [InlineData("immediate")]
    public async Task A_server_stopped_while_streaming_is_a_passing_failure_and_goes_on_after(string mode)
    {
        await using var server = await PostgresServer.Start();
        var database = await server.CreateDatabase("db");
        await PostgresServer.Execute(database, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE noise (id int PRIMARY KEY)");
        await using var capture = new CaptureUnderTest("stop", database, ["public.t"]);
        await capture.Start();
        await capture.Execute("INSERT INTO t VALUES (1)");
        var (before, commit) = await capture.NextTransaction();
        capture.Stream.Confirm(commit.EndLsn);

        await capture.Stream.SendFeedback(CancellationToken.None);

        // A fast stop waits until we have acknowledged all of the log: it would hang if only captured changes were acknowledged.
        await capture.Execute("INSERT INTO noise SELECT generate_series(1, 1000)");
        var reading = capture.Next();
        await server.Stop(mode);
        var failure = await Assert.ThrowsAsync<CaptureException>(() => reading);
        Assert.True(failure.Transient);
        Assert.Contains($"127.0.0.1:{server.Port} (user postgres, database db)", failure.Message);

        var unreachable = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Prepare(null, CancellationToken.None));
        Assert.True(unreachable.Transient);
        Assert.Contains("sources.stop.postgres.connection", unreachable.Message);
        Assert.Contains("sources.stop.postgres.connection", Assert.Single(await capture.Capture.Check(CancellationToken.None)));

        await server.StartAgain();
        await capture.Restart();
        await capture.Execute("INSERT INTO t VALUES (2)");
        // The server may have forgotten what was confirmed since its last checkpoint, and then repeats it under its old version.
        var (changes, _) = await capture.NextTransaction();
        if (changes[0].Entity.Key == "1")
        {
            Assert.Equal(before[0].Version, changes[0].Version);
            (changes, _) = await capture.NextTransaction();
        }

        Assert.Equal("2", Assert.Single(changes).Entity.Key);
    }
}
