using CdcOrleans.Grains.Collections;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Retries;
using Microsoft.Extensions.Logging;
using Polly;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// A reader's way to one partition: collects changes, sends them as sequenced batches with one call under way at a time (what comes
/// meanwhile makes the next batch), and retains what it sent until it is durable, to send it again when the partition moves.
/// </summary>
internal sealed partial class PartitionLink
{
    private const int MostChanges = 2000;
    private const int MostBytes = 4 << 20;
    private static readonly RetryPolicy Retries = new(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2));

    /// <summary>Waits between questions for a row, while what was sent of it is being applied.</summary>
    private static readonly RetryPolicy Questions = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(50));

    private readonly IPartitionGrain _grain;
    private readonly WalSession _session;
    private readonly int _index;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _retry;
    private readonly Lock _gate = new();

    // Everything not yet durable, in order; the first _sent of them were accepted by the partition.
    private readonly Ring<RowChange> _retained = new();
    private int _sent;
    private bool _isSending;
    private ChangeVersion _last;
    private long _sequence;
    private bool _isOpen;
    private long _quietSince;

    public PartitionLink(WalSession session, int index, IPartitionGrain grain, TimeProvider time, ILogger logger)
    {
        _session = session;
        _index = index;
        _grain = grain;
        _time = time;
        _retry = Retries.Pipeline(
            time, (exception, wait) => LogBroken(logger, session.Source, index, wait, exception.Message), static exception => exception is not StaleReaderException);
    }

    /// <summary>Adds a change; it leaves with the next <see cref="Flush"/>.</summary>
    public void Add(RowChange change)
    {
        lock (_gate)
        {
            _retained.Add(change);
            _last = change.Version;
        }
    }

    /// <summary>
    /// What the partition holds of an entity when all that was added before is applied. It is asked until it can tell: it may be busy,
    /// or moving.
    /// </summary>
    public async Task<StoredRow> ReadRow(EntityKey entity, CancellationToken cancellation)
    {
        ChangeVersion last;
        lock (_gate)
            last = _last;
        Flush();
        for (var asked = 1; ; asked++)
        {
            var held = await Call(token => _session.Entity(entity).ReadRow(_session.Epoch, last).AsTask().WaitAsync(token), cancellation);
            if (held.Settled)
                return held;
            if (held.IsBehind)
                OpenAgain();
            await Task.Delay(Questions.After(asked), _time, cancellation);
        }
    }

    /// <summary>Has the partition let go of what it holds of tables. It is told until it has: it may be moving.</summary>
    public Task Forget(int[] tables, CancellationToken cancellation) => Call(
        async token =>
        {
            await _grain.Forget(_session.Epoch, tables).AsTask().WaitAsync(token);
            return true;
        },
        cancellation);

    // Calls until the partition answers. Whatever became of it, it will be somewhere: it may be moving, or its silo gone. Where it says
    // that a newer reader exists, the session ends.
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

    // An activation that lacks what another one accepted came after it, or before it: it gets what is not durable. While a call is
    // under way, that finds out by itself.
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

    /// <summary>Sends what was added, unless a call is under way: then it leaves when that returns.</summary>
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

    /// <summary>The partition's durable progress moved: lets go of what it covers.</summary>
    /// <returns>Changes and bytes let go.</returns>
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
    /// Asks the partition whether it still has what it accepted, when that has not become durable for a while: an activation that
    /// was lost after it answered would otherwise be missed until the next change for it.
    /// </summary>
    public void Verify(TimeSpan patience)
    {
        lock (_gate)
        {
            if (_isSending || _sent == 0 || _time.GetElapsedTime(_quietSince) < patience)
                return;
            _quietSince = _time.GetTimestamp();
            _isOpen = false;
            _isSending = true;
        }

        _ = Send();
    }

    private async Task Send()
    {
        try
        {
            while (await Call(SendNext, _session.Stopping))
            {
                // What came meanwhile makes the next one.
            }

            return;
        }
        catch (StaleReaderException)
        {
            // The session was told.
        }
#pragma warning disable CA1031 // The session ends: what is not durable is sent by the next one.
        catch (Exception) when (_session.Stopping.IsCancellationRequested)
#pragma warning restore CA1031
        {
        }

        lock (_gate)
            _isSending = false;
    }

    // Sends a batch; false, and no longer sending, when there is none. After trouble the partition is opened where it is now, and gets
    // what is not durable.
    private async Task<bool> SendNext(CancellationToken cancellation)
    {
        try
        {
            if (!_isOpen)
                await Open();
            if (!TryTake(out var batch))
                return false;
            await _grain.Receive(batch);
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
            _sequence = 0;
            _sent = 0;
            _quietSince = _time.GetTimestamp();
            while (_sent < _retained.Count && _retained[_sent].Version <= opened.Accepted)
                _sent++;
        }
    }

    private bool TryTake(out ChangeBatch batch)
    {
        lock (_gate)
        {
            var count = 0;
            var bytes = 0L;
            while (_sent + count < _retained.Count && count < MostChanges)
            {
                bytes += _retained[_sent + count].Size;

                // A large one goes alone: what a message can be is the most that a change can be.
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
            batch = new ChangeBatch { Epoch = _session.Epoch, Sequence = ++_sequence, Changes = changes };
            return true;
        }
    }

    // Progress may pass changes of a batch before its call returns: those are no longer retained.
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

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: partition {Partition} did not take a call; it is called again in {Wait}: {Error}")]
    private static partial void LogBroken(ILogger logger, string source, int partition, TimeSpan wait, string error);
}
