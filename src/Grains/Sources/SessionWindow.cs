namespace CdcOrleans.Grains.Sources;

/// <summary>
/// Changes and bytes on their way: read, and not yet durable. When either limit is reached reading waits. One reader enters; anybody
/// may leave. A single change larger than the whole window passes alone.
/// </summary>
internal sealed class SessionWindow(long mostChanges, long mostBytes, TimeProvider time)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _empty;
    private long _changes;
    private long _bytes;
    private long _heldSince;

    public long Changes
    {
        get
        {
            lock (_gate)
                return _changes;
        }
    }

    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    public long MostChanges { get; } = mostChanges;

    public long MostBytes { get; } = mostBytes;

    /// <summary>How long reading has been waiting; zero when it is not.</summary>
    public TimeSpan Held
    {
        get
        {
            lock (_gate)
                return _room is null && _empty is null ? TimeSpan.Zero : time.GetElapsedTime(_heldSince);
        }
    }

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
                    _heldSince = time.GetTimestamp();
                }

                // It may have emptied since the attempt.
                if (_changes == 0)
                    Open();
                room = _room?.Task ?? Task.CompletedTask;
            }

            await room.WaitAsync(cancellation);
        }
    }

    public void Leave(int changes, long bytes)
    {
        if (changes == 0)
            return;
        lock (_gate)
        {
            _changes -= changes;
            _bytes -= bytes;

            // Room for more than one change, so that a full window does not wake its reader for each.
            if (_changes <= MostChanges * 7 / 8 && _bytes <= MostBytes * 7 / 8)
                Open();
            if (_changes == 0 && _empty is { } empty)
            {
                _empty = null;
                empty.SetResult();
            }
        }
    }

    public Task WhenEmpty(CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_changes == 0)
                return Task.CompletedTask;
            if (_empty is null)
            {
                _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _heldSince = time.GetTimestamp();
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
