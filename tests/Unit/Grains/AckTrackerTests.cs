using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing.Pipeline;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class AckTrackerTests
{
    private const int Partitions = 4;

    // A history: transactions of changes to partitions, and after each step progress of random partitions by a random share.
    private static readonly Gen<(int[][] Transactions, (int Partition, int Share)[] Progress)> History =
        Gen.Select(
            Gen.Int[0, Partitions - 1].Array[0, 6].Array[1, 30],
            Gen.Select(Gen.Int[0, Partitions - 1], Gen.Int[0, 5]).Array[0, 120]);

    [Fact]
    public void Confirms_exactly_the_longest_prefix_of_durable_transactions() => History.Sample((transactions, progress) =>
    {
        var tracker = new AckTracker(Partitions, Lsn.None);
        var dispatched = new List<(int Partition, ChangeVersion Version)>();
        var done = new Dictionary<int, ChangeVersion>();
        var ends = new List<(Lsn End, ChangeVersion[] Versions, int[] In)>();
        var step = 0;
        for (var t = 0; t < transactions.Length; t++)
        {
            var commit = 100 * (t + 1);
            var versions = new List<ChangeVersion>();
            for (var c = 0; c < transactions[t].Length; c++)
            {
                var version = Sample.Version(commit, c + 1);
                versions.Add(version);
                dispatched.Add((transactions[t][c], version));
                tracker.Dispatched(transactions[t][c], version, commit);
                Advance();
            }

            var end = new Lsn((ulong)commit + 50);
            ends.Add((end, [.. versions], transactions[t]));
            tracker.Committed(end);
            Advance();
        }

        foreach (var partition in Enumerable.Range(0, Partitions))
        {
            var mine = dispatched.Where(d => d.Partition == partition).ToList();
            if (mine.Count > 0)
                Report(partition, mine[^1].Version);
        }

        Assert.Equal(ends[^1].End, tracker.Confirmed);
        Assert.Null(tracker.OldestCommitMicros);

        void Advance()
        {
            if (step >= progress.Length)
                return;
            var (partition, share) = progress[step++];
            var mine = dispatched.Where(d => d.Partition == partition).ToList();
            if (mine.Count > 0)
                Report(partition, mine[Math.Min(mine.Count - 1, mine.Count * share / 5)].Version);
        }

        void Report(int partition, ChangeVersion version)
        {
            if (version > done.GetValueOrDefault(partition))
                done[partition] = version;
            tracker.Progressed(partition, version);
            Check();
        }

        void Check()
        {
            var expected = Lsn.None;
            foreach (var (end, versions, partitions) in ends)
            {
                if (!versions.Select((v, i) => v <= done.GetValueOrDefault(partitions[i])).All(x => x))
                    break;
                expected = end;
            }

            Assert.Equal(expected, tracker.Confirmed);
        }
    });

    [Fact]
    public void A_heartbeat_is_confirmed_in_its_turn()
    {
        var tracker = new AckTracker(1, new Lsn(10));
        tracker.Reached(new Lsn(20));
        Assert.Equal(new Lsn(20), tracker.Confirmed);

        tracker.Dispatched(0, Sample.Version(30), 0);
        tracker.Committed(new Lsn(35));
        tracker.Reached(new Lsn(40));
        Assert.Equal(new Lsn(20), tracker.Confirmed);

        Assert.True(tracker.Progressed(0, Sample.Version(30)));
        Assert.Equal(new Lsn(40), tracker.Confirmed);
    }

    [Fact]
    public void Changes_streamed_again_that_are_durable_already_hold_nothing_up()
    {
        var tracker = new AckTracker(2, Lsn.None);
        tracker.Progressed(0, Sample.Version(100, 2));
        tracker.Dispatched(0, Sample.Version(100, 1), 0);
        tracker.Dispatched(0, Sample.Version(100, 2), 0);
        tracker.Committed(new Lsn(120));
        Assert.Equal(new Lsn(120), tracker.Confirmed);
    }

    [Fact]
    public void A_message_outside_transactions_is_confirmed_once_it_is_durable()
    {
        var tracker = new AckTracker(Partitions, Lsn.None);
        tracker.Dispatched(1, Sample.Version(100), 1);
        tracker.Reached(new Lsn(100));
        Assert.Equal(Lsn.None, tracker.Confirmed);
        tracker.Reached(new Lsn(120));
        Assert.True(tracker.Progressed(1, Sample.Version(100)));
        Assert.Equal(new Lsn(120), tracker.Confirmed);
    }

    [Fact]
    public void A_transaction_still_being_read_is_not_confirmed_even_if_all_of_it_so_far_is_durable()
    {
        var tracker = new AckTracker(1, Lsn.None);
        tracker.Dispatched(0, Sample.Version(100, 1), 0);
        tracker.Progressed(0, Sample.Version(100, 1));
        Assert.Equal(Lsn.None, tracker.Confirmed);
        tracker.Dispatched(0, Sample.Version(100, 2), 0);
        tracker.Committed(new Lsn(120));
        Assert.Equal(Lsn.None, tracker.Confirmed);
        tracker.Progressed(0, Sample.Version(100, 2));
        Assert.Equal(new Lsn(120), tracker.Confirmed);
    }

    [Fact]
    public void A_million_transactions_of_others_need_no_memory_while_one_of_ours_is_not_durable()
    {
        var tracker = new AckTracker(1, Lsn.None);
        tracker.Dispatched(0, Sample.Version(100), 7);
        tracker.Committed(new Lsn(110));
        for (var i = 1UL; i <= 1_000_000; i++)
        {
            tracker.Committed(new Lsn(110 + (10 * i)));
            tracker.Reached(new Lsn(115 + (10 * i)));
        }

        Assert.Equal(1, tracker.Count);
        Assert.Equal(7, tracker.OldestCommitMicros);
        Assert.Equal(Lsn.None, tracker.Confirmed);
        Assert.True(tracker.Progressed(0, Sample.Version(100)));
        Assert.Equal(new Lsn(10_000_115), tracker.Confirmed);
        Assert.Equal(0, tracker.Count);
    }

    [Fact]
    public void Durable_transactions_need_no_memory_while_an_earlier_one_is_not_durable()
    {
        var tracker = new AckTracker(2, Lsn.None);
        tracker.Dispatched(0, Sample.Version(100), 7);
        tracker.Committed(new Lsn(110));
        for (var i = 1L; i <= 10_000; i++)
        {
            tracker.Dispatched(1, Sample.Version(100 + (10 * i)), 8);
            tracker.Committed(new Lsn((ulong)(105 + (10 * i))));
            Assert.False(tracker.Progressed(1, Sample.Version(100 + (10 * i))));
        }

        Assert.Equal(1, tracker.Count);
        tracker.Dispatched(1, Sample.Version(200_000), 9);
        tracker.Committed(new Lsn(200_010));
        Assert.Equal(2, tracker.Count);
        Assert.True(tracker.Progressed(0, Sample.Version(100)));
        Assert.Equal(new Lsn(100_105), tracker.Confirmed);
        Assert.Equal(9, tracker.OldestCommitMicros);
    }
}
