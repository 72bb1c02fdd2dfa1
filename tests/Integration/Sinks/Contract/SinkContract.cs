using CdcOrleans.Model.Sinks;
using Xunit;

namespace CdcOrleans.Integration.Sinks.Contract;

/// <summary>What every sink holds to, whatever its destination does.</summary>
public abstract class SinkContract : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly List<ContractDelivery> _deliveries = [];
    private readonly List<ISink> _sinks = [];
    private ContractRig _rig = null!;

    private protected abstract Task<ContractRig> Start();

    [Fact]
    public async Task Each_row_keeps_its_order_and_each_event_has_one_outcome()
    {
        var sink = Open();
        await DeliverRows(sink, rows: 30, perRow: 20);

        // A delivery with events of many rows, several of each.
        var mixed = Enumerable.Range(0, 600).Select(i => Got.Event(_rig.Topic, $"mixed{i % 37}", i)).ToArray();
        await Answered(Pass(sink, mixed));

        Assert.All(mixed, e => Assert.Null(e.Failure));
        AssertReceived(30 * 20, "row", 30, 20);
        var received = _rig.Received(1200);
        foreach (var row in Enumerable.Range(0, 37))
            Assert.Equal(mixed.Where(e => e.Entity.Key == $"mixed{row}").Select(e => (int)e.Version.Ordinal), FirstOf(received, $"mixed{row}"));
        Assert.True(sink.Status is { Waiting: 0, Refused: 0, Healthy: true, Delivered: 1200 });
    }

    [Fact]
    public async Task A_destination_that_is_there_late_gets_everything_in_order()
    {
        await _rig.Break();
        var sink = Open();
        var rows = DeliverRows(sink, rows: 10, perRow: 10);
        await Until(() => sink.Status is { Failed: > 0 } or { Waiting: > 0 } or { Healthy: false });
        await _rig.Mend();
        await rows;
        AssertReceived(100, "row", 10, 10);
        await Until(() => sink.Status.Healthy);
    }

    [Fact]
    public async Task What_failed_is_delivered_in_order_when_it_is_tried_again()
    {
        var sink = Open();
        await DeliverRows(sink, rows: 10, perRow: 5);
        await _rig.Break();
        var rows = DeliverRows(sink, rows: 10, perRow: 10, "again");
        await Until(() => sink.Status is { Failed: >= 10 } or { Healthy: false });
        await _rig.Mend();
        await rows;
        AssertReceived(150, "again", 10, 10);
    }

    [Fact]
    public async Task A_flapping_destination_gets_everything_in_order()
    {
        var sink = Open();
        using var stop = new CancellationTokenSource();
        var sent = 0;
        var rows = Enumerable.Range(0, 8).Select(async row =>
        {
            var n = 0;
            for (; !stop.IsCancellationRequested || n < 5; n++, Interlocked.Increment(ref sent))
                await DeliverUntilDone(sink, Got.Event(_rig.Topic, $"row{row}", n));
            return n;
        }).ToList();
        for (var i = 0; i < _rig.Flaps; i++)
        {
            var before = Volatile.Read(ref sent);
            await Until(() => Volatile.Read(ref sent) >= before + 8);
            var failed = sink.Status.Failed;
            await _rig.Break();
            await Until(() => sink.Status.Failed > failed || !sink.Status.Healthy);
            await _rig.Mend();
        }

        await stop.CancelAsync();
        var counts = await Task.WhenAll(rows).WaitAsync(Patience);
        var received = _rig.Received(counts.Sum());
        for (var row = 0; row < counts.Length; row++)
            Assert.Equal(Enumerable.Range(0, counts[row]), FirstOf(received, $"row{row}"));
    }

    [Fact]
    public async Task A_slow_destination_gets_everything_in_order()
    {
        Assert.SkipUnless(_rig.Slow(TimeSpan.FromMilliseconds(30)), "This destination cannot be made slow.");
        var sink = Open();
        await DeliverRows(sink, rows: 12, perRow: 10);
        AssertReceived(120, "row", 12, 10);
    }

    [Fact]
    public async Task A_destination_that_does_not_answer_gives_an_outcome_in_time()
    {
        Assert.SkipWhen(_rig.Hang is null, "This destination cannot be made to hang.");
        var sink = Open();
        await DeliverRows(sink, rows: 1, perRow: 1, "before");
        await _rig.Hang();
        var hanging = Enumerable.Range(0, 20).Select(i => Pass(sink, Got.Event(_rig.Topic, $"row{i}", 0), Got.Event(_rig.Topic, $"row{i}", 1))).ToList();
        if (_rig.AnswersWithin is { } limit)
        {
            await Task.WhenAll(hanging.Select(d => d.Answered)).WaitAsync(limit);
            Assert.All(hanging.SelectMany(d => d.Events), e => Assert.True(e.Failure is { IsFinal: false }));
        }

        await _rig.Mend();
        foreach (var delivery in hanging)
        {
            await Answered(delivery);
            await DeliverUntilDone(sink, [.. delivery.Events.Where(e => e.Failure is not null)]);
        }

        AssertReceived(40, "row", 20, 2);
    }

    [Fact]
    public async Task One_poisonous_event_among_500_is_refused_alone()
    {
        Assert.SkipWhen(_rig.HasNoPoison is not null, _rig.HasNoPoison ?? "");
        var sink = Open();
        var events = Enumerable.Range(0, 500).Select(i => Got.Event(_rig.Topic, $"row{i % 250}", i / 250, isPoison: i == 137)).ToArray();
        await Answered(Pass(sink, events));
        Assert.True(events[137].Failure is { IsFinal: true });
        Assert.DoesNotContain("xxx", events[137].Failure!.Error, StringComparison.Ordinal);
        Assert.Equal(499, events.Count(e => e.Failure is null));
        Assert.Equal(
            events.Where(e => e.Failure is null).Select(e => new Got(e.Entity.Key, (int)e.Version.Ordinal)).OrderBy(g => g.Row, StringComparer.Ordinal).ThenBy(g => g.Number),
            _rig.Received(499).Distinct().OrderBy(g => g.Row, StringComparer.Ordinal).ThenBy(g => g.Number));
        Assert.True(sink.Status is { Refused: 1, Delivered: 499, Waiting: 0 });
    }

    [Fact]
    public async Task A_sink_that_is_closed_while_busy_answers_every_delivery()
    {
        var sink = Open();
        var events = Enumerable.Range(0, 2000).Select(i => Got.Event(_rig.Topic, $"row{i}", 0)).ToList();
        events.ForEach(e => Pass(sink, e));
        await sink.DisposeAsync().AsTask().WaitAsync(Patience);
        await Task.WhenAll(_deliveries.Select(d => d.Answered)).WaitAsync(Patience);
        var got = _rig.Received(0).Select(g => g.Row).ToHashSet();
        Assert.All(events.Where(e => e.Failure is null), e => Assert.Contains(e.Entity.Key, got));
        Assert.DoesNotContain(events, e => e.Failure is { IsFinal: true });
    }

    [Fact]
    public async Task A_sink_that_is_closed_while_nothing_can_be_delivered_answers_every_delivery()
    {
        Assert.SkipWhen(_rig.StaysSilentWhenClosed is not null, _rig.StaysSilentWhenClosed ?? "");
        await _rig.Break();
        var sink = Open();
        for (var i = 0; i < 200; i++)
            Pass(sink, Got.Event(_rig.Topic, $"row{i % 20}-{i}", 0));
        await sink.DisposeAsync().AsTask().WaitAsync(Patience);
        await Task.WhenAll(_deliveries.Select(d => d.Answered)).WaitAsync(Patience);
        Assert.All(_deliveries.SelectMany(d => d.Events), e => Assert.True(e.Failure is { IsFinal: false }));
        await _rig.Mend();
    }

    [Fact]
    public async Task A_delivery_may_be_repeated()
    {
        var sink = Open();
        var events = Enumerable.Range(0, 10).Select(i => Got.Event(_rig.Topic, "row0", i)).ToArray();
        await Answered(Pass(sink, events));
        await Answered(Pass(sink, events));
        Assert.All(events, e => Assert.Null(e.Failure));
        AssertReceived(20, "row", 1, 10);
    }

    [Fact]
    public async Task A_test_tells_whether_the_destination_can_be_reached_and_sends_no_event()
    {
        var sink = Open();
        var limit = TimeSpan.FromSeconds(3);
        var margin = TimeSpan.FromSeconds(5);
        Assert.Null(await sink.Test(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        await DeliverRows(sink, rows: 1, perRow: 2);
        await _rig.Break();
        var error = await sink.Test(limit, TestContext.Current.CancellationToken).WaitAsync(limit + margin, TestContext.Current.CancellationToken);
        Assert.False(string.IsNullOrWhiteSpace(error));
        await _rig.Mend();
        Assert.Null(await sink.Test(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        Assert.Equal(2, _rig.Received(2).Count);
        Assert.True(sink.Status is { Delivered: 2, Failed: 0, Refused: 0, Waiting: 0 });
    }

    [Fact]
    public async Task A_test_of_a_destination_that_does_not_answer_ends_in_time()
    {
        Assert.SkipWhen(_rig.Hang is null, "This destination cannot be made to hang.");
        var sink = Open();
        await DeliverRows(sink, rows: 1, perRow: 1);
        await _rig.Hang();
        var limit = TimeSpan.FromSeconds(2);
        await sink.Test(limit, TestContext.Current.CancellationToken).WaitAsync(limit + TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        await _rig.Mend();
    }

    public async ValueTask InitializeAsync() => _rig = await Start();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var sink in _sinks)
            await CloseOnce(sink);
        await _rig.DisposeAsync();
        Assert.All(_deliveries, d => Assert.True(d.Answers <= 1, $"A delivery was answered {d.Answers} times."));
    }

    private static async ValueTask CloseOnce(ISink sink)
    {
        try
        {
            await sink.DisposeAsync();
        }
        catch (ObjectDisposedException)
        {
            // The test closed it.
        }
    }

    private ISink Open()
    {
        var sink = _rig.Open();
        _sinks.Add(sink);
        return sink;
    }

    private ContractDelivery Pass(ISink sink, params SinkEvent[] events)
    {
        var delivery = new ContractDelivery(events);
        lock (_deliveries)
            _deliveries.Add(delivery);
        sink.Deliver(delivery);
        return delivery;
    }

    private static async Task Answered(ContractDelivery delivery)
    {
        await delivery.Answered.WaitAsync(Patience);
        Assert.Equal(1, delivery.Answers);
    }

    // As an outlet does it: what failed for now is passed again, and the next event of the row waits.
    private async Task DeliverUntilDone(ISink sink, params SinkEvent[] events)
    {
        var deadline = DateTime.UtcNow + Patience;
        while (events.Length > 0)
        {
            Assert.True(DateTime.UtcNow < deadline, $"Not delivered in time: {events[0].Failure?.Error}");
            var delivery = Pass(sink, events);
            await Answered(delivery);
            Assert.DoesNotContain(events, e => e.Failure is { IsFinal: true });
            var left = events.Where(e => e.Failure is not null).ToArray();
            if (left.Length > 0)
                await Task.Delay(left[0].Failure!.RetryAfter ?? TimeSpan.FromMilliseconds(20));
            events = left;
        }
    }

    private Task DeliverRows(ISink sink, int rows, int perRow, string name = "row") => Task.WhenAll(Enumerable.Range(0, rows).Select(async row =>
    {
        for (var n = 0; n < perRow;)
        {
            var count = Math.Min(perRow - n, 1 + ((row + n) % 3));
            await DeliverUntilDone(sink, [.. Enumerable.Range(n, count).Select(i => Got.Event(_rig.Topic, $"{name}{row}", i))]);
            n += count;
        }
    })).WaitAsync(Patience);

    private void AssertReceived(int least, string name, int rows, int perRow)
    {
        var received = _rig.Received(least);
        for (var row = 0; row < rows; row++)
            Assert.Equal(Enumerable.Range(0, perRow), FirstOf(received, $"{name}{row}"));
    }

    // Repetitions are allowed; what counts is the order in which events come for the first time.
    private static IEnumerable<int> FirstOf(IReadOnlyList<Got> received, string row) => received.Where(g => g.Row == row).Select(g => g.Number).Distinct();

    private static async Task Until(Func<bool> condition)
    {
        var deadline = DateTime.UtcNow + Patience;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, "The sink did not get there in time.");
            await Task.Delay(5);
        }
    }
}
