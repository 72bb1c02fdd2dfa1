using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Replays;

/// <summary>
/// Runs one replay: it reads the keys of stored entities in order, a slice at a time, gives each partition its part of the slice, and
/// writes the progress when every part is done. The partitions make the events. Any number of runners may run one replay for a moment: the
/// store accepts the progress of the newest only, and a row that is sent twice is harmless.
/// </summary>
/// <param name="store">The replays.</param>
/// <param name="rows">Where the rows come from.</param>
/// <param name="partitions">Number of partitions of the source.</param>
/// <param name="send">Calls a partition.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Its log.</param>
internal sealed partial class ReplayRunner(
    IReplayStore store, IReplayRows rows, int partitions, Func<int, ReplaySlice, Task<ReplayAnswer>> send, TimeProvider time, ILogger logger)
{
    /// <summary>Most rows of a slice.</summary>
    public const int MostOfSlice = 1000;

    /// <summary>Time between two calls after one that failed.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    /// <summary>Longest time between two looks at whether a person paused or ended the replay.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    private readonly Dictionary<int, string> _waiting = [];
    private StoredReplay _replay = null!;
    private ReplayTable _table = null!;
    private CancellationToken _stop;
    private long _number;
    private long _freeAt;
    private (long At, long Rows) _mark;
    private double _speed;

    /// <summary>Runs a replay until it ends, is paused, or somebody else runs it.</summary>
    public async Task Run(long id, CancellationToken stop)
    {
        _stop = stop;
        if (await Insist(() => store.Begin(id, stop)) is not { } begun)
            return;
        _replay = begun;
        _freeAt = _mark.At = time.GetTimestamp();
        LogBegun(logger, begun.Source, begun.Id, begun.Sink, begun.Run);
        try
        {
            foreach (var table in begun.Tables)
            {
                _table = table;
                if (!table.IsDone && !await RunTable())
                    return;
            }

            await Insist(async () =>
            {
                await store.End(_replay, null, stop);
                return true;
            });
            LogDone(logger, begun.Source, begun.Id);
        }
        catch (ReplayProblemException problem)
        {
            await Insist(async () =>
            {
                await store.End(_replay, problem.Message, stop);
                return true;
            });
            LogFailed(logger, begun.Source, begun.Id, problem.Message);
        }
    }

    private async Task<bool> RunTable()
    {
        // What is not durable is not in the store, and came to the sink before; nothing that comes later needs a replay.
        if (_table is { IsBegun: false, Keys: null })
        {
            _number++;
            if (await Deliver([.. Enumerable.Range(0, partitions).Select(p => (p, (string[]?)null))]) is not { } begun)
                return false;

            // Most of them are found again by their keys, and are counted as done then.
            _table = Counted(begun) with { IsBegun = true, RowsDone = _table.RowsDone };
            _freeAt = Math.Max(_freeAt, time.GetTimestamp()) + (time.TimestampFrequency * begun.Sum(a => a.Sent) / _replay.Rate);
        }

        while (true)
        {
            var size = Math.Clamp(_replay.Rate / 4, 1, MostOfSlice);
            var found = await Insist(() => rows.Read(_replay.Source, _table, size, _stop));
            if (found.After is null)
            {
                _table = _table with { IsDone = true };
                return await Save(null);
            }

            await Pace(found.Keys.Count);
            _number++;
            var parts = found.Keys.GroupBy(k => new EntityKey(_table.Table, k).Partition(partitions)).Select(g => (g.Key, (string[]?)[.. g]));
            if (await Deliver([.. parts]) is not { } answers)
                return false;

            // An entity may have sent many changes of the journal.
            _freeAt += time.TimestampFrequency * Math.Max(0, answers.Sum(a => a.Sent) - found.Keys.Count) / _replay.Rate;
            _table = Counted(answers) with { After = found.After };
            _table = _table with { RowsDone = _table.RowsDone + found.Unknown, WithoutRow = _table.WithoutRow + found.Unknown };
            Measure();
            if (!await Save(null))
                return false;
        }
    }

    // Rows of several slices may not be put off and then be sent at once.
    private async Task Pace(int count)
    {
        var now = time.GetTimestamp();
        if (_freeAt > now)
            await Task.Delay(time.GetElapsedTime(now, _freeAt), time, _stop);
        else
            _freeAt = now;
        _freeAt += time.TimestampFrequency * count / _replay.Rate;
    }

    private ReplayTable Counted(IReadOnlyCollection<ReplayAnswer> answers) => _table with
    {
        RowsDone = _table.RowsDone + answers.Sum(a => a.Sent + a.Absent + a.WithoutRow),
        Sent = _table.Sent + answers.Sum(a => a.Sent),
        Absent = _table.Absent + answers.Sum(a => a.Absent),
        WithoutRow = _table.WithoutRow + answers.Sum(a => a.WithoutRow),
        Parked = _table.Parked + answers.Sum(a => a.Parked),
        Refused = _table.Refused + answers.Sum(a => a.Refused),
    };

    // Null when the replay does not run any more. What the partitions have of the slice goes on, and is sent again when it is resumed.
    private async Task<ReplayAnswer[]?> Deliver(IReadOnlyList<(int Partition, string[]? Keys)> parts)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(_stop);
        var all = Task.WhenAll(parts.Select(p => Deliver(p.Partition, p.Keys, enough.Token)));
        while (await Task.WhenAny(all, Task.Delay(Look, time, _stop)) != all)
        {
            _stop.ThrowIfCancellationRequested();
            if (await Save(_waiting.Count > 0 ? _waiting.Values.First() : null))
                continue;
            await enough.CancelAsync();
            await ((Task)all).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            return null;
        }

        return await all;
    }

    private async Task<ReplayAnswer> Deliver(int partition, string[]? keys, CancellationToken enough)
    {
        var slice = new ReplaySlice(new ReplaySlice.Place(_replay.Id, _replay.Run, _number), _replay.Sink, _table.Table, keys)
        {
            Journal = _replay.From == ReplayOrders.Journal ? _replay.Window : null,
        };
        while (true)
        {
            enough.ThrowIfCancellationRequested();
            try
            {
                var answer = await send(partition, slice).WaitAsync(enough);
                if (answer.Problem is { } problem)
                    throw new ReplayProblemException(problem);
                if (answer.Waiting is { } waiting)
                    _waiting[partition] = waiting;
                else
                    _waiting.Remove(partition);
                if (answer.IsDone)
                    return answer;
            }
#pragma warning disable CA1031 // The partition may be moving to another silo, or its silo may have failed.
            catch (Exception exception) when (exception is not ReplayProblemException && !enough.IsCancellationRequested)
#pragma warning restore CA1031
            {
                _waiting[partition] = $"Partition {partition} does not answer: {exception.GetType().Name}. It may be moving to another silo.";
                LogUnanswered(logger, _replay.Source, _replay.Id, partition, exception.Message);
                await Task.Delay(Retry, time, enough);
            }
        }
    }

    private async Task<bool> Save(string? waiting) =>
        await Insist(() => store.Save(_replay, _table, waiting, _speed, _stop)) == ReplayState.Running;

    // The control database may be out of reach for a while.
    private async Task<T> Insist<T>(Func<Task<T>> call)
    {
        while (true)
        {
            try
            {
                return await call();
            }
#pragma warning disable CA1031 // Whatever it is, the replay goes on when it is over.
            catch (Exception exception) when (!_stop.IsCancellationRequested)
#pragma warning restore CA1031
            {
                LogStoreFailed(logger, exception.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), time, _stop);
            }
        }
    }

    private void Measure()
    {
        var now = time.GetTimestamp();
        var passed = time.GetElapsedTime(_mark.At, now).TotalSeconds;
        if (passed < 1)
            return;
        _speed = Math.Max(0, _table.RowsDone - _mark.Rows) / passed;
        _mark = (now, _table.RowsDone);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: replay {Replay} to sink {Sink} runs here, run {Run}")]
    private static partial void LogBegun(ILogger logger, string source, long replay, string sink, long run);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: replay {Replay} is done")]
    private static partial void LogDone(ILogger logger, string source, long replay);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: replay {Replay} failed: {Error}")]
    private static partial void LogFailed(ILogger logger, string source, long replay, string error);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Source}: replay {Replay}: partition {Partition} did not answer, it is asked again: {Error}")]
    private static partial void LogUnanswered(ILogger logger, string source, long replay, int partition, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A replay waits for the control database: {Error}")]
    private static partial void LogStoreFailed(ILogger logger, string error);

    private sealed class ReplayProblemException(string message) : Exception(message);
}
