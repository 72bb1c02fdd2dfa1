using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Changes;
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
        Idle(acknowledgement, 100);
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.Begin();
        Idle(acknowledgement, 200);
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.End(new Lsn(150));
        Idle(acknowledgement, 200);
        Assert.Equal(new Lsn(100), acknowledgement.Position);

        acknowledgement.Confirm(new Lsn(150));
        Idle(acknowledgement, 200);
        Assert.Equal(new Lsn(200), acknowledgement.Position);
    }

    [Fact]
    public void What_was_received_counts_when_the_reader_has_seen_it()
    {
        var acknowledgement = new Acknowledgement();
        acknowledgement.ConfirmIdle(new Lsn(100));
        Assert.Equal(Lsn.None, acknowledgement.Position);

        // A message outside transactions that takes long to arrive, at the position that confirms it.
        acknowledgement.Reading();
        Idle(acknowledgement, 100);
        Assert.Equal(Lsn.None, acknowledgement.Position);
        acknowledgement.End(new Lsn(100));
        acknowledgement.Read();
        Idle(acknowledgement, 100);
        Assert.Equal(Lsn.None, acknowledgement.Position);
        acknowledgement.Confirm(new Lsn(100));
        Idle(acknowledgement, 120);
        Assert.Equal(new Lsn(120), acknowledgement.Position);
    }

    /// <summary>
    /// The log as the connection receives it and the reader reads it, one message behind at most, with the position asked for at
    /// any moment between: it never lies beyond the commit of a transaction that was not confirmed, nor at a message outside them.
    /// </summary>
    [Fact]
    public void Never_passes_a_commit_that_is_not_confirmed()
    {
        // Per transaction: changes (−1: it is a message by itself), whether it is confirmed soon after, log of others after it.
        Gen.Select(Gen.Int[-1, 3], Gen.Bool, Gen.Int[0, 20]).List[1, 8].Sample(transactions =>
        {
            var acknowledgement = new Acknowledgement();
            ulong log = 100, received = 0;
            var confirmable = true;
            var unconfirmedCommit = ulong.MaxValue;

            void Receive(ulong position, Action read)
            {
                received = ulong.Max(received, position);
                Check();
                acknowledgement.Reading();
                Check();
                Check();
                read();
                acknowledgement.Read();
                Check();
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
                var commit = first + (ulong)int.Max(changes + 1, 1);
                var end = changes < 0 ? commit : commit + 8;
                unconfirmedCommit = ulong.Min(unconfirmedCommit, changes < 0 ? end - 1 : commit);
                if (changes >= 0)
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

    private static void Idle(Acknowledgement acknowledgement, ulong received)
    {
        acknowledgement.ConfirmIdle(new Lsn(received));
        acknowledgement.ConfirmIdle(new Lsn(received));
    }

    [Fact]
    public void Nothing_below_the_slots_position_is_told()
    {
        var acknowledgement = new Acknowledgement(new Lsn(50));
        Assert.Equal(new Lsn(50), acknowledgement.Position);
        acknowledgement.Confirm(new Lsn(40));
        Assert.Equal(new Lsn(50), acknowledgement.Position);
    }
}
