using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static CdcOrleans.Testing.Pipeline.Changes;

namespace CdcOrleans.Unit.Grains;

/// <summary>A sink that is paused gets nothing; what comes meanwhile is parked or waits, and arrives in order after the pause.</summary>
public sealed class PausingTests
{
    private static readonly SinkPause Pause = new("other", "me", DateTimeOffset.UnixEpoch);

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestSink _other = new() { Name = "other" };
    private readonly TestStore _store = new();

    [Theory]
    [InlineData(EntityMode.Row, EntityActivation.Always)]
    [InlineData(EntityMode.Row, EntityActivation.WhenNeeded)]
    [InlineData(EntityMode.Off, EntityActivation.WhenNeeded)]
    public async Task What_comes_while_a_sink_is_paused_is_parked_and_drains_in_order(EntityMode mode, EntityActivation activation)
    {
        await using var rig = Rig(OutagePolicy.Spill, mode, activation);
        rig.Outlet("other").Paused = Pause;
        for (var i = 1; i <= 20; i++)
        {
            rig.Take(Create("abcd"[i % 4].ToString(), i));
            await Answer(rig, TimeSpan.FromMilliseconds(250));
        }

        // No probe passes, however long the pause is.
        await Answer(rig, TimeSpan.FromMinutes(5));
        Assert.Empty(_other.Answered);
        Assert.Equal(20, rig.Sink.Answered.Count);
        Assert.Equal(0, rig.Partition.Unfinished);
        await rig.Checkpoint();
        Assert.Equal(20, _store.Parked.Count);
        Assert.Equal((Pause, 20L, true), (rig.Outlet("other").Status.Pause, rig.Outlet("other").Status.Parked, rig.Outlet("other").Status.Healthy));

        rig.Outlet("other").Paused = null;
        rig.Take(Create("a", 21));
        await Settle(rig);
        Assert.Equal(21, _other.Answered.Count);
        foreach (var entity in _other.Answered.GroupBy(Key))
            Assert.Equal(entity.Select(e => e.Version).Order(), entity.Select(e => e.Version));
        Assert.Empty(_store.Parked);
        Assert.Empty(_store.ParkedEntities);
    }

    [Fact]
    public async Task With_the_policy_hold_events_wait_and_nothing_is_parked()
    {
        await using var rig = Rig(OutagePolicy.Hold);
        rig.Outlet("other").Paused = Pause;
        rig.Take(Create("a", 1), Create("b", 2));
        await Answer(rig, TimeSpan.FromMinutes(5));
        Assert.Empty(_other.Answered);
        Assert.Equal(2, rig.Partition.Unfinished);
        Assert.Equal((2L, 0L), (rig.Outlet("other").Status.Held, rig.Outlet("other").Status.Parked));

        rig.Outlet("other").Paused = null;
        await Answer(rig, TimeSpan.FromSeconds(1));
        Assert.Equal([Sample.Version(1), Sample.Version(2)], _other.Answered.Select(e => e.Version).Order());
        Assert.Equal(0, rig.Partition.Unfinished);
    }

    [Fact]
    public async Task What_fails_when_the_pause_begins_is_not_tried_again_before_it_ends()
    {
        await using var rig = Rig(OutagePolicy.Spill);
        _other.Fails = _ => DeliveryFailure.OfEvent("later");
        rig.Take(Create("a", 1));
        _other.Answer(_ => true);
        rig.Outlet("other").Paused = Pause;
        _other.Fails = _ => null;
        await Answer(rig, TimeSpan.FromMinutes(1));
        Assert.Empty(_other.Answered);
        Assert.Equal(1, rig.Outlet("other").Status.Parked);

        rig.Outlet("other").Paused = null;
        await Settle(rig);
        Assert.Equal([Sample.Version(1)], _other.Answered.Select(e => e.Version));
    }

    private PartitionRig Rig(OutagePolicy outage, EntityMode mode = EntityMode.Row, EntityActivation activation = EntityActivation.WhenNeeded) => new(
        _store, new RigOptions { Time = _time, Delivery = DeliveryPolicy.Default with { Outage = outage }, OtherSinks = [_other], Mode = mode, Activation = activation });

    // Both sinks answer while time passes.
    private async Task Answer(PartitionRig rig, TimeSpan time)
    {
        for (; time > TimeSpan.Zero; time -= TimeSpan.FromMilliseconds(250))
        {
            rig.Sink.Answer(_ => true);
            _other.Answer(_ => true);
            _time.Advance(TimeSpan.FromMilliseconds(250));
            rig.LookAfter();
            await rig.Loaded();
        }
    }

    private async Task Settle(PartitionRig rig)
    {
        for (var i = 0; i < 100; i++)
        {
            await Answer(rig, TimeSpan.FromMilliseconds(250));
            await rig.Checkpoint();
        }
    }
}
