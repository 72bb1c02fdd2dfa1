namespace CdcOrleans.Grains.Sources;

/// <summary>
/// The window: counts the changes, and their bytes, that were read and are not durable yet. When one of the two limits is reached, reading
/// waits. A change that is larger than the whole window may enter when the window is empty. Only one thread may enter; any thread may
/// leave.
/// </summary>
internal sealed class SessionWindow(long mostChanges, long mostBytes, TimeProvider time)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _empty;
    private long _changes;
    private long _bytes;
    private long _fullSince;

    /// <summary>Changes in the window.</summary>
    public long Changes
    {
        get
        {
            lock (_gate)
                return _changes;
        }
    }

    /// <summary>Bytes in the window.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>Limit in changes.</summary>
    public long MostChanges { get; } = mostChanges;

    /// <summary>Limit in bytes.</summary>
    public long MostBytes { get; } = mostBytes;

    /// <summary>How long reading has been waiting for room, or for the window to be empty; zero when it is not waiting.</summary>
    public TimeSpan FullFor
    {
        get
        {
            lock (_gate)
                return _room is null && _empty is null ? TimeSpan.Zero : time.GetElapsedTime(_fullSince);
        }
    }

    /// <summary>Adds a change of so many bytes if there is room; false if there is none.</summary>
    public bool TryEnter(int bytes)
    {
        lock (_gate)
        {
            if (_changes > 0 && (_changes >= MostChanges || _bytes + bytes > MostBytes))
                return false;
            _changes++;
            _bytes += bytes;
            return true;
        }
    }

    /// <summary>Waits until there is room, then adds a change of so many bytes.</summary>
    public async Task Enter(int bytes, CancellationToken cancellation)
    {
        while (!TryEnter(bytes))
        {
            Task room;
            lock (_gate)
            {
                if (_room is null)
                {
                    _room = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    _fullSince = time.GetTimestamp();
                }

                // It may have become empty since the attempt.
                if (_changes == 0)
                    Open();
                room = _room?.Task ?? Task.CompletedTask;
            }

            await room.WaitAsync(cancellation);
        }
    }

    /// <summary>Removes changes that are durable.</summary>
    public void Leave(int changes, long bytes)
    {
        if (changes == 0)
            return;
        lock (_gate)
        {
            _changes -= changes;
            _bytes -= bytes;

            // Wait for more room than one change needs, so that a full window does not wake the reader for every change.
            if (_changes <= MostChanges * 7 / 8 && _bytes <= MostBytes * 7 / 8)
                Open();
            if (_changes == 0 && _empty is { } empty)
            {
                _empty = null;
                empty.SetResult();
            }
        }
    }

    /// <summary>Completes when the window is empty.</summary>
    public Task WhenEmpty(CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_changes == 0)
                return Task.CompletedTask;
            if (_empty is null)
            {
                _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _fullSince = time.GetTimestamp();
            }

            return _empty.Task.WaitAsync(cancellation);
        }
    }

    private void Open()
    {
        _room?.SetResult();
        _room = null;
    }
}
