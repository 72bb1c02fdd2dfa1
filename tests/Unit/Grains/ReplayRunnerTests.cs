using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Replays;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>The runner of a replay: its pace, its progress, and what it does when others do not answer.</summary>
public sealed class ReplayRunnerTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeReplays _store = new();
    private readonly ConcurrentQueue<ReplaySlice> _sent = new();

    [Fact]
    public async Task No_more_rows_are_sent_than_the_rate_allows_and_the_progress_follows()
    {
        _store.Rows = 100;
        _store.Replay = _store.Replay with { Rate = 40 };
        var run = Runner((_, slice) => Task.FromResult(Done(slice))).Run(1, CancellationToken.None);
        var start = _time.GetUtcNow();
        while (!run.IsCompleted)
        {
            await Yields();
            var seconds = (_time.GetUtcNow() - start).TotalSeconds;
            Assert.True(_sent.Sum(s => s.Keys?.Length ?? 0) <= (40 * seconds) + 10, $"{_sent.Sum(s => s.Keys?.Length ?? 0)} rows after {seconds} s");
            _time.Advance(TimeSpan.FromMilliseconds(50));
        }

        await run;
        Assert.True((_time.GetUtcNow() - start).TotalSeconds > 2.2);
        var table = _store.Replay.Tables[0];
        Assert.Equal((true, true, 100, 100), (table.IsBegun, table.IsDone, table.RowsDone, table.Sent));
        Assert.Equal(ReplayState.Done, _store.Replay.State);

        // The first part is what is not durable, for every partition.
        Assert.Equal(4, _sent.TakeWhile(s => s.Keys is null).Count());
        Assert.Equal(100, _sent.SelectMany(s => s.Keys ?? []).Distinct().Count());
    }

    [Fact]
    public async Task A_part_is_sent_again_until_it_is_done_with_the_same_number()
    {
        var calls = 0;
        var run = Runner((_, slice) => (slice.Keys is null ? 3 : ++calls) switch
        {
            1 => throw new TimeoutException("moving"),
            2 => Task.FromResult(new ReplayAnswer { Waiting = "gone" }),
            _ => Task.FromResult(Done(slice)),
        }).Run(1, CancellationToken.None);
        await Pass(run);
        await run;
        Assert.Single(_sent.Where(s => s.Keys is not null).Select(s => s.At).Distinct());
        Assert.Equal(3, _sent.Count(s => s.Keys is not null));
        Assert.Equal(1, _store.Replay.Tables[0].RowsDone);
    }

    [Fact]
    public async Task While_a_partition_does_not_answer_the_reason_is_stored_and_a_pause_is_noticed()
    {
        var run = Runner((_, slice) => slice.Keys is null ? Task.FromResult(Done(slice)) : Task.FromException<ReplayAnswer>(new TimeoutException("moving"))).Run(1, CancellationToken.None);
        while (_store.Replay.Waiting is null)
            await Step();
        Assert.Contains("does not answer: TimeoutException", _store.Replay.Waiting, StringComparison.Ordinal);
        Assert.False(run.IsCompleted);
        _store.Replay = _store.Replay with { State = ReplayState.Paused };
        await Pass(run);
        await run;
        Assert.Equal((ReplayState.Paused, 0), (_store.Replay.State, _store.Replay.Tables[0].RowsDone));
    }

    [Fact]
    public async Task What_a_partition_cannot_do_ends_the_replay_with_the_reason()
    {
        var run = Runner((_, _) => Task.FromResult(new ReplayAnswer { Problem = "No route." })).Run(1, CancellationToken.None);
        await Pass(run);
        await run;
        Assert.Equal((ReplayState.Failed, "No route."), (_store.Replay.State, _store.Replay.Error));
    }

    [Fact]
    public async Task A_runner_that_is_not_the_newest_one_stops_and_one_that_goes_on_begins_after_the_last_progress()
    {
        _store.Rows = 100;
        _store.Replay = _store.Replay with { Rate = 40 };
        var run = Runner((_, slice) => Task.FromResult(Done(slice))).Run(1, CancellationToken.None);
        while (_store.Replay.Tables[0].RowsDone < 30)
            await Step();
        await _store.Begin(1, CancellationToken.None);
        await Pass(run);
        await run;
        Assert.Equal(ReplayState.Running, _store.Replay.State);
        var (done, after) = (_store.Replay.Tables[0].RowsDone, _store.Replay.Tables[0].After);
        _sent.Clear();
        run = Runner((_, slice) => Task.FromResult(Done(slice))).Run(1, CancellationToken.None);
        await Pass(run);
        await run;
        Assert.Equal(ReplayState.Done, _store.Replay.State);
        Assert.Equal(100 - done, _sent.Sum(s => s.Keys!.Length));
        Assert.All(_sent.SelectMany(s => s.Keys!), k => Assert.True(string.CompareOrdinal(k, after) > 0));
    }

    [Fact]
    public async Task The_control_database_may_be_out_of_reach_for_a_while()
    {
        _store.Troubles = 5;
        var run = Runner((_, slice) => Task.FromResult(Done(slice))).Run(1, CancellationToken.None);
        await Pass(run);
        await run;
        Assert.Equal(ReplayState.Done, _store.Replay.State);
        Assert.Equal(0, _store.Troubles);
    }

    [Theory]
    [InlineData("public.a", null, "public.a")]
    [InlineData("public.*", null, "public.a")]
    [InlineData("public.versions", "entities: version", "")]
    [InlineData("public.unrouted", "No route leads from shop.public.unrouted to sink 'events'", "")]
    [InlineData("public.nope", "No table of source 'shop' of which rows are stored matches 'public.nope'", "")]
    [InlineData("other.x", "No table of source 'shop'", "")]
    public void Tables_are_found_by_their_patterns(string pattern, string? problem, string tables)
    {
        var configuration = new PipelineConfiguration
        {
            Cluster = new ClusterConfiguration { Id = "c" }, Control = new ControlConfiguration { Connection = "" }, Gateway = new GatewayConfiguration(),
            Sources = new Dictionary<string, SourceConfiguration>
            {
                ["shop"] = new()
                {
                    Name = "shop", Connection = "", Slot = "s", Publication = "p",
                    Tables = [new TableSelection { Pattern = "public.versions", Entities = EntityMode.Version }, new TableSelection { Pattern = "public.*" }],
                },
            },
            Sinks = new Dictionary<string, SinkConfiguration>(),
            Routes = [new RouteConfiguration { From = "shop.public.a", To = ["events"] }, new RouteConfiguration { From = "shop.public.v*", To = ["events"] }],
        };
        var (found, _, detail) = ReplayOrders.Find(
            new ReplayOrder("shop", "events", [pattern], null, 1), ["message", "other.x", "public.a", "public.unrouted", "public.versions"], configuration);
        Assert.Equal(tables, string.Join(' ', found));
        Assert.Equal(problem is null, detail is null);
        Assert.Contains(problem ?? "", detail ?? "", StringComparison.Ordinal);
    }

    private static ReplayAnswer Done(ReplaySlice slice) => new() { IsDone = true, Sent = slice.Keys?.Length ?? 0 };

    private ReplayRunner Runner(Func<int, ReplaySlice, Task<ReplayAnswer>> answer) => new(
        _store, new HeldRows(_store), 4,
        (partition, slice) =>
        {
            _sent.Enqueue(slice);
            return answer(partition, slice);
        },
        _time, NullLogger.Instance);

    private async Task Pass(Task run)
    {
        while (!run.IsCompleted)
            await Step();
    }

    private async Task Step()
    {
        await Yields();
        _time.Advance(TimeSpan.FromMilliseconds(50));
    }

    private static async Task Yields()
    {
        for (var i = 0; i < 20; i++)
            await Task.Yield();
    }

    private sealed class FakeReplays : IReplayStore
    {
        private readonly Lock _gate = new();

        public int Rows { get; set; } = 1;

        public int Troubles { get; set; }

        public StoredReplay Replay { get; set; } = new()
        {
            Id = 1, Source = "shop", Sink = "events", From = "held", Patterns = [], Rate = 1000, Who = "me",
            Tables = [new ReplayTable { Place = 0, Table = "public.a", RowsTotal = 1 }],
        };

        public Task<StoredReplay?> Begin(long id, CancellationToken cancellation) => Do(() => Replay.State == ReplayState.Running ? Replay = Replay with { Run = Replay.Run + 1 } : null);

        public Task<ReplayState?> Save(StoredReplay replay, ReplayTable table, string? waiting, double speed, CancellationToken cancellation) => Do<ReplayState?>(() =>
        {
            if (replay.Run != Replay.Run)
                return null;
            Replay = Replay with { Tables = [table], Waiting = waiting, Speed = speed };
            return Replay.State;
        });

        public Task End(StoredReplay replay, string? error, CancellationToken cancellation) => Do(() =>
        {
            if (replay.Run == Replay.Run && Replay.State == ReplayState.Running)
                Replay = Replay with { State = error is null ? ReplayState.Done : ReplayState.Failed, Error = error };
            return true;
        });

        public Task<HeldKeys> ReadKeys(string source, string table, string? after, int most, CancellationToken cancellation) => Do(() =>
        {
            string[] keys = [.. Enumerable.Range(1, Rows).Select(i => $"{i:0000}").Where(k => after is null || string.CompareOrdinal(k, after) > 0).Take(most)];
            return new HeldKeys(keys, 0, keys.Length > 0 ? keys[^1] : null);
        });

        public Task<HeldKeys> ReadIncomplete(string source, string table, string? after, int most, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<(StoredReplay Replay, bool IsNew)> Add(StoredReplay replay, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<StoredReplay>> List(long before, int limit, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<StoredReplay?> Get(long id, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<long>> Running(CancellationToken cancellation) => throw new NotSupportedException();

        public Task<bool> Change(long id, IReadOnlyCollection<ReplayState> from, ReplayState to, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<string>> Tables(string source, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<long> Estimate(string source, string table, CancellationToken cancellation) => throw new NotSupportedException();

        private Task<T> Do<T>(Func<T> work)
        {
            lock (_gate)
            {
                if (Troubles == 0)
                    return Task.FromResult(work());
                Troubles--;
                return Task.FromException<T>(new StateUnavailableException("down", new TimeoutException()));
            }
        }
    }
}
