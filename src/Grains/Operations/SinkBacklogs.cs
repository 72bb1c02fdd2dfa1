using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Operations;

/// <summary>
/// Counts what is stored for the sinks. All who ask at one time share a read, and what was read lately is not read again. When reading takes
/// long, because much is stored, it is done less often. Safe for concurrent use.
/// </summary>
internal sealed class SinkBacklogs(ISinkStore store, TimeProvider time)
{
    /// <summary>What was read is used for so many times the duration of the read.</summary>
    private const int Restraint = 20;

    private readonly Lock _gate = new();
    private Task<IReadOnlyList<SinkBacklog>>? _reading;
    private IReadOnlyList<SinkBacklog> _read = [];
    private long? _readAt;
    private TimeSpan _took;

    /// <summary>Returns the counts.</summary>
    /// <param name="age">How old they may be; they may be older when reading takes long.</param>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    public Task<IReadOnlyList<SinkBacklog>> Get(TimeSpan age)
    {
        lock (_gate)
        {
            if (_readAt is { } at && time.GetElapsedTime(at) < (_took * Restraint > age ? _took * Restraint : age))
                return Task.FromResult(_read);
            return _reading ??= Task.Run(Read);
        }
    }

    private async Task<IReadOnlyList<SinkBacklog>> Read()
    {
        try
        {
            var begun = time.GetTimestamp();
            var read = await store.Backlogs(CancellationToken.None).ConfigureAwait(false);
            lock (_gate)
                (_read, _readAt, _took) = (read, time.GetTimestamp(), time.GetElapsedTime(begun));
            return read;
        }
        finally
        {
            lock (_gate)
                _reading = null;
        }
    }
}
