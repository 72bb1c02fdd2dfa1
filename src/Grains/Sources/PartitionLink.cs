using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Interfaces.Calls;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using Microsoft.Extensions.Logging;
using Polly;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// The link from a reader to one partition. It collects changes and sends them as numbered batches, one call at a time. Changes that are
/// added during a call go into the next batch. Changes stay in memory until they are durable, and are sent again when the partition
/// moves to another silo. Safe for concurrent use.
/// </summary>
internal sealed partial class PartitionLink
{
    private const int MostChanges = 2000;
    private const int MostBytes = 4 << 20;

    /// <summary>What the slowest network carries, in bytes per second: a batch with a large change has so much more time.</summary>
    private const double SlowestNetwork = 4 << 20;

    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2));

    /// <summary>Waits between two questions for a stored row, while changes of the entity are still being applied.</summary>
    private static readonly RetryPolicy Questions = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(50));

    private readonly IPartitionGrain _grain;
    private readonly WalSession _session;
    private readonly int _index;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _retry;
    private readonly Lock _gate = new();

    // All changes that are not durable yet, in order. The partition has accepted the first _sent of them.
    private readonly Ring<RowChange> _retained = new();
    private int _sent;
    private bool _isSending;
    private bool _isAsking;
    private ChangeVersion _last;
    private long _sequence;
    private long _generation;
    private bool _isOpen;
    private long _quietSince;

    // The change of the next batch whose times are measured, and when it was read; 0 when there is none.
    private ChangeVersion _sampled;
    private long _sampledAt;

    public PartitionLink(WalSession session, int index, IPartitionGrain grain, TimeProvider time, ILogger logger)
    {
        _session = session;
        _index = index;
        _grain = grain;
        _time = time;
        _retry = Retries.Pipeline(
            time, (exception, wait) => LogBroken(logger, session.Source, index, wait, exception.Message), static exception => exception is not StaleReaderException);
    }

    /// <summary>Adds a change. The next <see cref="Flush"/> sends it.</summary>
    public void Add(RowChange change)
    {
        lock (_gate)
        {
            _retained.Add(change);
            _last = change.Version;
            if (_sampledAt != 0)
                return;
            _sampled = change.Version;
            _sampledAt = _session.Times.Read(change.Transaction.CommitMicros);
        }
    }

    /// <summary>
    /// Returns the stored row of an entity after all changes that were added before are applied. It asks again until it gets this answer,
    /// because the entity may have waiting changes and the partition may be moving.
    /// </summary>
    public async Task<StoredRow> ReadRow(EntityKey entity, CancellationToken cancellation)
    {
        ChangeVersion last;
        lock (_gate)
            last = _last;
        Flush();
        for (var asked = 1; ; asked++)
        {
            var stored = await Call(token => _session.Entity(entity).ReadRow(_session.Epoch, last).AsTask().WaitAsync(token), cancellation);
            if (stored.AllApplied)
                return stored;
            if (stored.MustReopen)
                OpenAgain();
            await Task.Delay(Questions.After(asked), _time, cancellation);
        }
    }

    /// <summary>
    /// Makes the partition remove the rows of tables from memory. Calls again until it succeeds, because the partition may be moving.
    /// </summary>
    public Task Forget(int[] tables, ChangeVersion version, CancellationToken cancellation) => Call(
        async token =>
        {
            await _grain.Forget(_session.Epoch, tables, version).AsTask().WaitAsync(token);
            return true;
        },
        cancellation);

    /// <summary>
    /// Makes the partition begin no entity of tables for a replay any more, and waits until none is under way: their stored rows are about
    /// to be deleted.
    /// </summary>
    public async Task<bool> HoldReplays(int[] tables, CancellationToken cancellation)
    {
        while (!await Call(token => _grain.HoldReplays(_session.Epoch, tables).AsTask().WaitAsync(token), cancellation))
        {
            // The partition has waited for a moment already.
        }

        return true;
    }

    // Calls until the partition answers. The partition may be moving, or its silo may have failed; it then starts on another silo. If it
    // answers that a newer reader exists, the session ends.
    private async Task<T> Call<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            return await _retry.ExecuteAsync(static async (call, token) => await call(token), call, cancellation);
        }
        catch (StaleReaderException stale)
        {
            _session.Fail(stale);
            throw;
        }
    }

    // The partition has another activation than the one that accepted the batches. Open it again, and send it the changes that are not
    // durable. If a call is in progress, that call detects this by itself.
    private void OpenAgain()
    {
        lock (_gate)
        {
            if (_isSending || _sent < _retained.Count)
                return;
            _isOpen = false;
        }

        Flush();
    }

    /// <summary>Sends the added changes. If a call is in progress, they are sent when it returns.</summary>
    public void Flush()
    {
        lock (_gate)
        {
            if (_isSending || (_isOpen && _sent == _retained.Count))
                return;
            _isSending = true;
        }

        _ = Send();
    }

    /// <summary>Whether a generation is older than that of the activation that was opened last.</summary>
    public bool IsStale(long generation)
    {
        lock (_gate)
            return generation < _generation;
    }

    /// <summary>Removes the changes that the partition's durable progress covers.</summary>
    /// <returns>Number of changes and bytes that were removed.</returns>
    public (int Changes, long Bytes) Release(ChangeVersion progress)
    {
        var changes = 0;
        var bytes = 0L;
        lock (_gate)
        {
            while (_retained.Count > 0 && _retained[0].Version <= progress)
            {
                bytes += _retained[0].Size;
                changes++;
                _retained.RemoveFirst();
            }

            _sent = Math.Max(0, _sent - changes);
            if (progress > _last)
                _last = progress;
            _quietSince = _time.GetTimestamp();
        }

        return (changes, bytes);
    }

    /// <summary>
    /// Opens the partition again when accepted changes have not become durable for the given time. This detects an activation that was
    /// lost after it had accepted them. Without this, the loss would be detected only by the next change of the partition. A partition that
    /// has nothing to do is asked whether it still is the activation that was opened: another one neither writes checkpoints nor tries
    /// parked events before it is opened.
    /// </summary>
    public void Verify(TimeSpan patience)
    {
        bool isIdle;
        lock (_gate)
        {
            if (_isSending || _isAsking || _time.GetElapsedTime(_quietSince) < patience)
                return;
            _quietSince = _time.GetTimestamp();
            isIdle = _sent == 0;
            if (isIdle)
            {
                _isAsking = true;
            }
            else
            {
                _isOpen = false;
                _isSending = true;
            }
        }

        _ = isIdle ? Ask() : Send();
    }

    private async Task Ask()
    {
        try
        {
            var generation = await _grain.GetGeneration().AsTask().WaitAsync(CallPatience.BriefTime, _time, _session.Stopping);
            bool isOther;
            lock (_gate)
                isOther = generation != _generation;
            if (isOther)
                OpenAgain();
        }
#pragma warning disable CA1031 // It is asked again, or the next change shows it.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
        finally
        {
            lock (_gate)
                _isAsking = false;
        }
    }

    private async Task Send()
    {
        try
        {
            while (await Call(SendNext, _session.Stopping))
            {
                // Changes that were added meanwhile go into the next batch.
            }

            return;
        }
        catch (StaleReaderException)
        {
            // Call has already ended the session.
        }
#pragma warning disable CA1031 // The session ends. The next session reads and sends again what is not durable.
        catch (Exception) when (_session.Stopping.IsCancellationRequested)
#pragma warning restore CA1031
        {
        }

        lock (_gate)
            _isSending = false;
    }

    // Sends a batch. Returns false, and clears _isSending, when there is none. After an error the partition is opened again, on the silo
    // where it is then, and the changes that are not durable are sent to it.
    private async Task<bool> SendNext(CancellationToken cancellation)
    {
        try
        {
            if (!_isOpen)
                await Open();
            if (!TryTake(out var batch, out var bytes))
                return false;

            // An answer that comes later than this changes nothing: the partition is opened again and says what it has accepted.
            await _grain.Receive(batch).AsTask().WaitAsync(CallPatience.BriefTime + TimeSpan.FromSeconds(bytes / SlowestNetwork), _time, cancellation);
            lock (_gate)
                _sent = Math.Min(_retained.Count, _sent + batch.Changes.Length - Released(batch));
            return true;
        }
        catch
        {
            lock (_gate)
                _isOpen = false;
            throw;
        }
    }

    private async Task Open()
    {
        var opened = await _grain.Open(_session.Epoch);
        _session.Progressed(_index, opened.Progress);
        lock (_gate)
        {
            _isOpen = true;
            _generation = opened.Generation;
            _sequence = 0;
            _sent = 0;
            _quietSince = _time.GetTimestamp();
            while (_sent < _retained.Count && _retained[_sent].Version <= opened.Accepted)
                _sent++;
        }
    }

    private bool TryTake(out ChangeBatch batch, out long bytes)
    {
        lock (_gate)
        {
            var count = 0;
            bytes = 0;
            while (_sent + count < _retained.Count && count < MostChanges)
            {
                bytes += _retained[_sent + count].Size;

                // A large change is sent in a batch of its own: a message can be as large as the largest change.
                if (count > 0 && bytes > MostBytes)
                    break;
                count++;
            }

            if (count == 0)
            {
                _isSending = false;
                batch = null!;
                return false;
            }

            var changes = new RowChange[count];
            for (var i = 0; i < count; i++)
                changes[i] = _retained[_sent + i];
            if (_sampledAt != 0 && changes[^1].Version >= _sampled)
            {
                _session.Times.Dispatched(_sampledAt);
                _sampledAt = 0;
            }

            var now = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
            batch = new ChangeBatch { Epoch = _session.Epoch, Generation = _generation, Sequence = ++_sequence, Changes = changes, SentMicros = now };
            return true;
        }
    }

    // Counts the changes of a batch that became durable before its call returned. They are not in _retained any more.
    private int Released(ChangeBatch batch)
    {
        if (_retained.Count == 0)
            return batch.Changes.Length;
        var first = _retained[0].Version;
        var released = 0;
        while (released < batch.Changes.Length && batch.Changes[released].Version < first)
            released++;
        return released;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: partition {Partition} did not accept a call; next attempt in {Wait}: {Error}")]
    private static partial void LogBroken(ILogger logger, string source, int partition, TimeSpan wait, string error);
}
