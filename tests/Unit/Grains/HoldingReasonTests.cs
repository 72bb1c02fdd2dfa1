using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Sinks;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class HoldingReasonTests
{
    private static readonly SiloFigures Full = new()
    {
        MemoryLimit = 96, MemoryOfWindow = 32, MemoryOfApplies = 40, MemoryOfUnsaved = 20, WaitingForMemory = 1,
    };

    [Fact]
    public void Applies_that_wait_for_memory_are_the_reason_when_nothing_fails() => Assert.Equal(
        "The window is full: applies wait for memory: 60 of 64 bytes are in use. It continues as sinks and the control database take what they have. "
        + "With a larger 'memory' of the source, more large rows are handled at once.",
        HoldingReason.Of([new SiloFigures(), Full]));

    // Memory is full because of them.
    [Fact]
    public void A_failing_checkpoint_or_sink_is_named_first()
    {
        Assert.StartsWith("The window is full: checkpoints fail on the control database: gone", HoldingReason.Of([Full, Full with { CheckpointError = "gone" }]), StringComparison.Ordinal);
        var broken = new SinkStatus { Name = "events", Type = "kafka", Healthy = false, LastError = "down", Delivered = 0, Refused = 0, Failed = 0, Waiting = 1 };
        Assert.StartsWith("The window is full: sink 'events' does not accept events: down", HoldingReason.Of([Full, Full with { Sinks = [broken] }]), StringComparison.Ordinal);
    }

    // A sink whose events are parked does not fill the window.
    [Fact]
    public void A_paused_sink_is_named_while_its_events_wait()
    {
        var paused = new SinkStatus
        {
            Name = "events", Type = "kafka", Healthy = false, LastError = "down", Delivered = 0, Refused = 0, Failed = 0, Waiting = 0, Held = 1,
            Pause = new("events", "me", DateTimeOffset.UnixEpoch),
        };
        Assert.Equal(
            "The window is full: sink 'events' is paused by me since 1970-01-01 00:00:00Z. Remedy: resume it with 'cdc sinks resume events', or with POST /api/v1/sinks/events/resume.",
            HoldingReason.Of([Full with { Sinks = [paused] }]));
        Assert.Contains("does not accept events", HoldingReason.Of([Full with { Sinks = [paused with { Held = 0 }] }]), StringComparison.Ordinal);
    }

    [Fact]
    public void Otherwise_something_is_slow() =>
        Assert.Equal("The window is full: sinks or the control database are slower than the source.", HoldingReason.Of([new SiloFigures()]));
}
