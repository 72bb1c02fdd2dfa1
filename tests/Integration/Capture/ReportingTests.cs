using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using Xunit;

namespace CdcOrleans.Integration.Capture;

public sealed class ReportingTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_position_is_told_to_the_server_only_once_it_was_noted()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Capture.Prepare(null, CancellationToken.None);
        var noted = new List<Lsn>();
        var isInReach = false;
        await using var stream = await capture.Capture.Stream(
            (position, _) =>
            {
                if (!Volatile.Read(ref isInReach))
                    throw new TimeoutException("The control database is out of reach.");
                lock (noted)
                    noted.Add(position);
                return Task.CompletedTask;
            },
            CancellationToken.None);
        await capture.Execute("INSERT INTO t VALUES (1)");
        WalItem item;
        do
            item = await stream.Read(TestContext.Current.CancellationToken);
        while (item.Kind != WalItemKind.Commit);
        stream.Confirm(item.EndLsn);

        await Assert.ThrowsAsync<TimeoutException>(() => stream.SendFeedback(CancellationToken.None));
        var slot = $"FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'";
        Assert.True(Lsn.Parse((await capture.Scalar($"SELECT confirmed_flush_lsn::text {slot}"))!) < item.EndLsn);

        Volatile.Write(ref isInReach, true);
        await stream.SendFeedback(CancellationToken.None);
        await capture.Until($"SELECT confirmed_flush_lsn >= '{item.EndLsn}' {slot}");
        lock (noted)
        {
            Assert.Contains(noted, p => p >= item.EndLsn);
            Assert.Equal(noted.Order(), noted);
        }
    }
}
