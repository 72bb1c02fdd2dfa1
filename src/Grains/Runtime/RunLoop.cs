namespace CdcOrleans.Grains.Runtime;

/// <summary>
/// Runs the work of a grain, one run at a time, until there is no more of it, or the grain ends. Used on the grain's scheduler.
/// </summary>
/// <param name="run">One run. It ends when the work is done, or when somebody else does it.</param>
/// <param name="ended">Called when there is nothing more to run.</param>
internal sealed class RunLoop(Func<CancellationToken, Task> run, Action ended) : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _run = Task.CompletedTask;
    private bool _isAgain;

    /// <summary>Begins to run, unless it runs.</summary>
    public ValueTask EnsureRunning()
    {
        if (_run.IsCompleted && !_stop.IsCancellationRequested)
            _run = Run();
        return ValueTask.CompletedTask;
    }

    /// <summary>Makes sure that a run begins after this call, because a person decided something.</summary>
    public ValueTask Changed()
    {
        // A run that ends because of a pause may not have seen yet that it was resumed.
        _isAgain = !_run.IsCompleted;
        return EnsureRunning();
    }

    /// <summary>Ends the run, and waits for its end.</summary>
    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    /// <inheritdoc />
    public void Dispose() => _stop.Dispose();

    private async Task Run()
    {
        await Task.Yield();
        try
        {
            do
            {
                _isAgain = false;
                await run(_stop.Token);
            }
            while (_isAgain && !_stop.IsCancellationRequested);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Another silo goes on.
        }
        finally
        {
            ended();
        }
    }
}
