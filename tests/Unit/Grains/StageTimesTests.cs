using CdcOrleans.Grains.Figures;
using CdcOrleans.Model;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>The times of the stages of a change's way: each is measured from where the one before ended, of one change in each batch.</summary>
public sealed class StageTimesTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestStore _store = new();

    [Theory]
    [InlineData(-5, 0.0005)]
    [InlineData(0, 0.0005)]
    [InlineData(0.5, 0.0005)]
    [InlineData(0.501, 0.001)]
    [InlineData(10_000, 10)]
    [InlineData(600_001, double.PositiveInfinity)]
    public void A_time_counts_within_the_least_bound_that_it_does_not_exceed(double milliseconds, double bound)
    {
        var times = new TimeHistogram();
        times.Record(TimeSpan.FromMilliseconds(milliseconds));
        Assert.Equal([bound], Within(times.Take()));
        Assert.Equal(Math.Max(0, milliseconds) / 1000, times.Take().SumSeconds, 6);
    }

    [Fact]
    public void A_sample_is_measured_once_and_only_at_its_place()
    {
        var times = new TimeHistogram();
        var samples = new ApplySamples(times, _time);
        samples.Begin(7, Micros());
        _time.Advance(TimeSpan.FromMilliseconds(40));
        Assert.Equal(0, samples.Applied(0));
        Assert.Equal(0, samples.Applied(7 + 512));
        Assert.Equal(_time.GetTimestamp(), samples.Applied(7));
        Assert.Equal(0, samples.Applied(7));
        Assert.Equal([0.05], Within(times.Take()));
    }

    [Theory]
    [InlineData(EntityMode.Row, EntityActivation.Always)]
    [InlineData(EntityMode.Row, EntityActivation.WhenNeeded)]
    [InlineData(EntityMode.Off, EntityActivation.WhenNeeded)]
    public async Task The_first_change_of_a_batch_is_measured_until_it_is_applied_and_then_until_its_sink_has_answered(EntityMode mode, EntityActivation activation)
    {
        await using var rig = new PartitionRig(_store, new RigOptions { Time = _time, Mode = mode, Activation = activation });
        var sent = Micros();
        _time.Advance(TimeSpan.FromMilliseconds(20));
        rig.Partition.Take([Create("a", 1), Create("b", 2)], sent);
        await rig.Loaded();
        Assert.Equal([0.025], Within(rig.Figures.Take().Applies!));
        Assert.Empty(Within(rig.Outlet("sink").Status.Deliveries!));

        _time.Advance(TimeSpan.FromMilliseconds(200));
        rig.Sink.Answer(_ => true);
        await rig.Loaded();
        Assert.Equal([0.25], Within(rig.Outlet("sink").Status.Deliveries!));

        // Nobody measures the next one.
        rig.Take(Create("c", 3));
        await rig.AnswerAll();
        Assert.Single(Within(rig.Figures.Take().Applies!));
        Assert.Single(Within(rig.Outlet("sink").Status.Deliveries!));
    }

    [Fact]
    public async Task Attempts_are_counted_by_events_and_a_delivery_counts_when_it_succeeds()
    {
        await using var rig = new PartitionRig(_store, new RigOptions { Time = _time });
        rig.Sink.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Partition.Take([Create("a", 1)], Micros());
        await rig.Loaded();
        rig.Sink.Answer(_ => true);
        Assert.Equal(1, rig.Outlet("sink").Status.Attempts);
        Assert.Empty(Within(rig.Outlet("sink").Status.Deliveries!));
        rig.Sink.Fails = _ => null;
        _time.Advance(TimeSpan.FromMilliseconds(400));
        rig.Sink.Answer(_ => true);
        Assert.Equal(2, rig.Outlet("sink").Status.Attempts);
        Assert.Equal([0.5], Within(rig.Outlet("sink").Status.Deliveries!));
    }

    private long Micros() => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    // The bound of each time that was counted.
    private static IEnumerable<double> Within(TimeCounts times) =>
        times.Counts.Zip(TimeHistogram.Bounds.Append(double.PositiveInfinity), (count, bound) => Enumerable.Repeat(bound, (int)count)).SelectMany(b => b);
}
