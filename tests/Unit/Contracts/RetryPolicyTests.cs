using CdcOrleans.Model.Retries;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class RetryPolicyTests
{
    private static readonly RetryPolicy Policy = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(10));

    [Fact]
    public void Waits_grow_to_the_longest_and_stay_positive() =>
        Gen.Select(Gen.Int[1, 10_000], Gen.Double[0, 0.999]).Sample((failures, random) =>
        {
            var wait = Policy.After(failures, random);
            return wait >= TimeSpan.FromMilliseconds(100) && wait <= TimeSpan.FromSeconds(10)
                && (failures < 8 || wait >= TimeSpan.FromSeconds(5));
        });

    [Fact]
    public void Without_jitter_each_wait_is_twice_the_one_before() =>
        Assert.Equal([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000], Enumerable.Range(1, 8).Select(f => (Policy with { Jitter = 0 }).After(f).TotalMilliseconds));

    [Fact]
    public async Task A_pipeline_tries_until_it_succeeds_and_waits_by_its_clock()
    {
        var time = new FakeTimeProvider();
        var waits = new List<double>();
        var attempts = 0;
        var done = (Policy with { Jitter = 0 }).Pipeline(time, (_, wait) => waits.Add(wait.TotalMilliseconds))
            .ExecuteAsync(_ => ++attempts < 4 ? throw new TimeoutException() : ValueTask.FromResult(attempts), CancellationToken.None).AsTask();
        for (; !done.IsCompleted; await Task.Yield())
            time.Advance(TimeSpan.FromMilliseconds(100));
        Assert.Equal(4, await done);
        Assert.Equal([200, 400, 800], waits);
        Assert.True(time.GetUtcNow() >= time.Start.AddMilliseconds(1400));
    }

    [Fact]
    public async Task What_does_not_pass_is_thrown_at_once()
    {
        var pipeline = Policy.Pipeline(new FakeTimeProvider(), (_, _) => Assert.Fail("It was tried again."), exception => exception is not InvalidOperationException);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await pipeline.ExecuteAsync(_ => throw new InvalidOperationException(), CancellationToken.None));
    }

    [Fact]
    public async Task Once_it_is_cancelled_nothing_is_tried_again()
    {
        using var stop = new CancellationTokenSource();
        var pipeline = Policy.Pipeline(new FakeTimeProvider(), (_, _) => Assert.Fail("It was tried again."));
        await Assert.ThrowsAsync<TimeoutException>(async () => await pipeline.ExecuteAsync(
            _ =>
            {
                stop.Cancel();
                throw new TimeoutException();
            },
            stop.Token));
    }
}
