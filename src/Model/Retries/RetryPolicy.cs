using Polly;
using Polly.Retry;

namespace CdcOrleans.Model.Retries;

/// <summary>
/// When something that failed is tried again: after a first wait, then after twice the one before, up to a longest. There is no last
/// attempt: what waits goes on by itself when the trouble passes.
/// </summary>
/// <param name="First">The wait after the first failure.</param>
/// <param name="Most">The longest wait.</param>
/// <param name="Jitter">Part of each wait that chance decides, so that those who failed together do not come back together; 0 for none, 1 for all.</param>
public sealed record RetryPolicy(TimeSpan First, TimeSpan Most, double Jitter = 0.5)
{
    // Beyond that, every first wait is past every longest one.
    private const int MostDoublings = 30;

    /// <summary>The wait after a number of failures in a row.</summary>
    /// <param name="failures">Failures so far, from 1.</param>
#pragma warning disable CA5394 // Jitter needs no secrecy.
    public TimeSpan After(int failures) => After(failures, Random.Shared.NextDouble());
#pragma warning restore CA5394

    /// <summary>The wait after a number of failures in a row.</summary>
    /// <param name="failures">Failures so far, from 1.</param>
    /// <param name="random">Chance: 0 ≤ random &lt; 1.</param>
    public TimeSpan After(int failures, double random)
    {
        var longest = Math.Min(First.TotalMilliseconds * Math.Pow(2, Math.Clamp(failures - 1, 0, MostDoublings)), Most.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(longest * (1 - Jitter + (Jitter * random)));
    }

    /// <summary>A pipeline that tries until it succeeds or is cancelled. Once it is cancelled, the last failure is thrown.</summary>
    /// <param name="time">The clock of the waits.</param>
    /// <param name="failed">Told of each failure and of the wait that follows it.</param>
    /// <param name="passes">Whether a failure may pass; one that does not is thrown at once. By default all may.</param>
    public ResiliencePipeline Pipeline(TimeProvider time, Action<Exception, TimeSpan> failed, Predicate<Exception>? passes = null) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = int.MaxValue,
                ShouldHandle = attempt => ValueTask.FromResult(
                    attempt.Outcome.Exception is { } exception && !attempt.Context.CancellationToken.IsCancellationRequested && passes?.Invoke(exception) != false),
                DelayGenerator = attempt => ValueTask.FromResult<TimeSpan?>(After(attempt.AttemptNumber + 1)),
                OnRetry = attempt =>
                {
                    failed(attempt.Outcome.Exception!, attempt.RetryDelay);
                    return default;
                },
            })
            .Build();
}
