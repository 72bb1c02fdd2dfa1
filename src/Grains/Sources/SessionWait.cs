using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Tracks why reading waits when the window is not full: for an answer of a partition or of the control database. The status of the
/// source shows it. Only one wait at a time; the properties may be read from any thread.
/// </summary>
internal sealed partial class SessionWait(string source, TimeProvider time, ILogger logger)
{
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));

    private volatile Waiting? _waiting;

    /// <summary>How long reading has been waiting; zero when it is not waiting.</summary>
    public TimeSpan WaitingFor => _waiting is { } waiting ? time.GetElapsedTime(waiting.Since) : TimeSpan.Zero;

    /// <summary>What reading waits for, as a sentence; null when it is not waiting.</summary>
    public string? Reason => _waiting is { } waiting
        ? $"Reading waits for {waiting.What}{(waiting.Error is null ? "." : $": {waiting.Error}")}"
        : null;

    /// <summary>Waits for an answer.</summary>
    public async Task<T> For<T>(string what, Task<T> answer)
    {
        _waiting = new Waiting(what, time.GetTimestamp());
        try
        {
            return await answer;
        }
        finally
        {
            _waiting = null;
        }
    }

    /// <summary>Does work in the control database. Tries again until it succeeds, so an outage only delays it.</summary>
    /// <exception cref="StaleOwnerException">As <paramref name="work"/> throws it.</exception>
    public async Task ForStore(string what, Func<CancellationToken, Task> work, CancellationToken cancellation)
    {
        var waiting = _waiting = new Waiting(what, time.GetTimestamp());
        try
        {
            await Retries.Pipeline(time, Failed, static exception => exception is not StaleOwnerException)
                .ExecuteAsync(async token => await work(token), cancellation);
        }
        finally
        {
            _waiting = null;
        }

        // As for checkpoints: every error of the control database is retried.
        void Failed(Exception exception, TimeSpan wait)
        {
            waiting.Error = exception.Message;
            LogFailed(logger, source, what, wait, exception.Message);
        }
    }

    private sealed record Waiting(string What, long Since)
    {
        public string? Error { get; set; }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: reading waits for {What}; the control database failed; next attempt in {Wait}: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, string what, TimeSpan wait, string error);
}
