using CdcOrleans.Gateway.Api;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;
using Xunit;

namespace CdcOrleans.Unit.Gateway;

public class ReportingTests
{
    [Theory]
    [InlineData(SourceState.Streaming, SourceState.Streaming, PipelineState.Running)]
    [InlineData(SourceState.Streaming, SourceState.Holding, PipelineState.Degraded)]
    [InlineData(SourceState.Starting, SourceState.Streaming, PipelineState.Degraded)]
    [InlineData(SourceState.Retrying, SourceState.Streaming, PipelineState.Degraded)]
    [InlineData(SourceState.Streaming, SourceState.Failed, PipelineState.Failed)]
    [InlineData(SourceState.Stopped, SourceState.Holding, PipelineState.Failed)]
    public void The_worst_source_decides(SourceState first, SourceState second, PipelineState expected) =>
        Assert.Equal(expected, Reporting.Overall([Result(first), Result(second)]));

    [Fact]
    public void A_source_that_cannot_be_read_fails_the_pipeline()
    {
        var unread = new SourceStatusResult(
            Configurations.Source("b"), null, new ClusterTroubleException(ClusterTrouble.TimedOut, "No answer for 'b'."));
        Assert.Equal(PipelineState.Failed, Reporting.Overall([Result(SourceState.Streaming), unread]));
        var summary = Reporting.Summary(unread);
        Assert.Equal(ReportedState.Unknown, summary.State);
        Assert.Equal("No answer for 'b'.", summary.Detail);
        Assert.Null(summary.Lag);
        Assert.Null(Reporting.Source(unread).Reader);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, "disk full")]
    public void A_sink_or_checkpoint_in_trouble_degrades_it(bool healthy, string? checkpointError)
    {
        var figures = new SiloFigures { Sinks = [Sink("events", healthy)], CheckpointError = checkpointError };
        Assert.Equal(PipelineState.Degraded, Reporting.Overall([Result(SourceState.Streaming, ("s1", figures))]));
    }

    [Fact]
    public void A_sink_is_summed_over_silos_and_well_only_where_it_is_well_everywhere()
    {
        var reading = Result(
            SourceState.Streaming,
            ("s1", new SiloFigures { Sinks = [Sink("files"), Sink("events")] }),
            ("s2", new SiloFigures { Sinks = [Sink("events", false, "broker gone")] }));
        Assert.Equivalent(
            new[]
            {
                new SinkHealth("events", "kafka", false, "broker gone", 20, 2, 6, 0, 0, 0, 0, false, [], null),
                new SinkHealth("files", "kafka", true, null, 10, 1, 3, 0, 0, 0, 0, false, [], null),
            },
            Reporting.Summary(reading).Sinks,
            strict: true);
    }

    [Fact]
    public void Latency_is_the_slowest_silos()
    {
        var reading = Result(
            SourceState.Streaming,
            ("s1", new SiloFigures { LatencyP50 = 3, LatencyP99 = 9, LatencyMax = 11 }),
            ("s2", new SiloFigures { LatencyP50 = 2, LatencyP99 = 12, LatencyMax = double.NaN }));
        Assert.Equal(new Latency(3, 12, 11), Reporting.Summary(reading).Latency);
    }

    [Fact]
    public void Figures_that_are_no_numbers_and_positions_that_are_not_known_are_null()
    {
        var reading = Result(SourceState.Starting, ("s1", new SiloFigures { LatencyP50 = double.NaN, LatencyP99 = double.NaN, LatencyMax = double.NaN }));
        reading = reading with { Status = reading.Status! with { ChangesPerSecond = double.NaN, LagSeconds = double.PositiveInfinity, ConfirmedLsn = Lsn.None } };
        var detail = Reporting.Source(reading);
        Assert.Null(detail.Reader!.ChangesPerSecond);
        Assert.Null(detail.Reader.Lag.Seconds);
        Assert.Null(detail.Reader.Positions.Confirmed);
        Assert.Equal(new Latency(null, null, null), detail.Reader.Latency);
    }

    [Theory]
    [InlineData(SourceState.Streaming, true)]
    [InlineData(SourceState.Holding, true)]
    [InlineData(SourceState.Starting, false)]
    [InlineData(SourceState.Retrying, false)]
    [InlineData(SourceState.Failed, false)]
    [InlineData(SourceState.Stopped, false)]
    public void Streaming_and_holding_are_ready(SourceState state, bool ready) => Assert.Equal(ready, Reporting.Ready(Result(state)).Ready);

    private static SourceStatusResult Result(SourceState state, params (string Silo, SiloFigures Figures)[] silos) => new(
        Configurations.Source("a"),
        new SourceStatus
        {
            Source = "a", State = state, Silo = "s1", Slot = "cdc_a", ReceivedLsn = new Lsn(2), Silos = silos.ToDictionary(s => s.Silo, s => s.Figures),
        },
        null);

    private static SinkStatus Sink(string name, bool healthy = true, string? error = null) =>
        new() { Name = name, Type = "kafka", Healthy = healthy, LastError = error, Delivered = 10, Failed = 0, Refused = 1, Waiting = 3 };
}
