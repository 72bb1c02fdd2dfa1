using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// What reading waits for other than room in the window: an answer of a partition or of the control database. So that a source that
/// stands still says why. One waits at a time; anybody may ask.
/// </summary>
internal sealed partial class SessionWait(string source, TimeProvider time, ILogger logger)
{
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5));

    private volatile Waiting? _waiting;

    /// <summary>How long it has been waiting; zero when it is not.</summary>
    public TimeSpan Held => _waiting is { } waiting ? time.GetElapsedTime(waiting.Since) : TimeSpan.Zero;

    /// <summary>What it waits for, in words; null when it does not.</summary>
    public string? Reason => _waiting is { } waiting
        ? $"Reading waits for {waiting.What}{(waiting.Trouble is null ? "." : $": {waiting.Trouble}")}"
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

    /// <summary>Has the control database do something, for as long as it takes: an outage is waited out.</summary>
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

        // As for checkpoints: whatever the control database's trouble is, it is tried again.
        void Failed(Exception exception, TimeSpan wait)
        {
            waiting.Trouble = exception.Message;
            LogTrouble(logger, source, what, wait, exception.Message);
        }
    }

    private sealed record Waiting(string What, long Since)
    {
        public string? Trouble { get; set; }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: reading waits for {What}; the control database is asked again in {Wait}: {Error}")]
    private static partial void LogTrouble(ILogger logger, string source, string what, TimeSpan wait, string error);
}
