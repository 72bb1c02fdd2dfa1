using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces.Changes;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class AcknowledgementTests
{
    [Fact]
    public void Never_goes_back()
    {
        var acknowledgement = new Acknowledgement();
        acknowledgement.Confirm(new Lsn(100));
        acknowledgement.Confirm(new Lsn(50));
        Assert.Equal(new Lsn(100), acknowledgement.Position);
    }

    [Fact]
    public void Follows_the_server_while_nothing_read_is_unconfirmed()
    {
        var acknowledgement = new Acknowledgement();
        acknowledgement.ConfirmIdle(new Lsn(100));
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.Begin();
        acknowledgement.ConfirmIdle(new Lsn(200));
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.End(new Lsn(150));
        acknowledgement.ConfirmIdle(new Lsn(200));
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.Confirm(new Lsn(150));
        acknowledgement.ConfirmIdle(new Lsn(200));
        Assert.Equal(new Lsn(200), acknowledgement.Position);
    }

    /// <summary>
    /// The log as the connection receives it and the reader reads it, one message behind at most, with the position asked for at
    /// any moment between: it never lies beyond the commit of a transaction that was not confirmed.
    /// </summary>
    [Fact]
    public void Never_passes_a_commit_that_is_not_confirmed()
    {
        // Per transaction: changes, whether it is confirmed soon after, log of others after it.
        Gen.Select(Gen.Int[0, 3], Gen.Bool, Gen.Int[0, 20]).List[1, 8].Sample(transactions =>
        {
            var acknowledgement = new Acknowledgement();
            ulong log = 100, received = 0;
            var confirmable = true;
            var unconfirmedCommit = ulong.MaxValue;

            void Receive(ulong position, Action read)
            {
                received = ulong.Max(received, position);
                Check();
                read();
                Check();
            }

            void Check()
            {
                acknowledgement.ConfirmIdle(new Lsn(received));
                Assert.True(acknowledgement.Position.Value <= unconfirmedCommit);
            }

            foreach (var (changes, confirm, others) in transactions)
            {
                var first = log;
                var commit = first + (ulong)changes + 1;
                var end = commit + 8;
                unconfirmedCommit = ulong.Min(unconfirmedCommit, commit);
                Receive(first, acknowledgement.Begin);
                for (var i = 1; i <= changes; i++)
                    Receive(first + (ulong)i, () => { });
                Receive(end, () => acknowledgement.End(new Lsn(end)));
                confirmable &= confirm;
                if (confirmable)
                {
                    unconfirmedCommit = ulong.MaxValue;
                    acknowledgement.Confirm(new Lsn(end));
                }

                log = end + (ulong)others;
                Receive(log, () => { }); // A keepalive: everything up to here was sent.
            }
        });
    }
}
