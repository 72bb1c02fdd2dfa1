using System.Threading.Channels;
using CdcOrleans.Grains.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>What is to run is looked after every few seconds, whatever happened at the look before.</summary>
public sealed class RunKeeperTests
{
    [Fact]
    public async Task After_a_failure_the_next_look_comes_as_usual()
    {
        var time = new FakeTimeProvider();
        using var keeper = new Keeper(
            time, () => [1, 3], () => throw new TimeoutException("The control database does not answer."), () => [Keeper.Gone, 3], () => [1]);
        await keeper.StartAsync(TestContext.Current.CancellationToken);
        await Seen("look", "1", "3");
        time.Advance(RunKeeper.Interval);
        await Seen("look");
        time.Advance(RunKeeper.Interval);
        await Seen("look", "gone");
        time.Advance(RunKeeper.Interval);
        await Seen("look", "1");
        await keeper.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, keeper.Seen.Reader.Count);

        async Task Seen(params string[] expected)
        {
            foreach (var one in expected)
                Assert.Equal(one, await keeper.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        }
    }

    private sealed class Keeper(TimeProvider time, params Func<IReadOnlyList<long>>[] looks) : RunKeeper("tests", time, NullLogger.Instance)
    {
        public const long Gone = 2;

        private int _looks;

        public Channel<string> Seen { get; } = Channel.CreateUnbounded<string>();

        protected override Task<IReadOnlyList<long>> Running(CancellationToken cancellation)
        {
            Seen.Writer.TryWrite("look");
            return Task.FromResult(looks[_looks++]());
        }

        protected override ValueTask EnsureRunning(long id)
        {
            Seen.Writer.TryWrite(id == Gone ? "gone" : $"{id}");
            return id == Gone ? throw new TimeoutException("The silo does not answer.") : ValueTask.CompletedTask;
        }
    }
}
