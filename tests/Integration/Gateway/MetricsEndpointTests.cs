using System.Diagnostics;
using System.Diagnostics.Metrics;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

[Collection("gateway")]
public class MetricsEndpointTests
{
    [Fact]
    public async Task The_figures_of_sources_silos_and_sinks_are_shown()
    {
        var cluster = new FakeCluster { Sources = { ["measured"] = () => new(Measured(RunningGateway.Status("measured"))) } };
        await using var gateway = await RunningGateway.Start(cluster, "measured");
        var lines = await Scrape(gateway, "cdc_source_lag_bytes", 256);
        Shows(lines, "cdc_source_reachable", 1);
        Shows(lines, "cdc_source_state", 1, "state=\"streaming\"");
        Shows(lines, "cdc_source_state", 0, "state=\"failed\"");
        Shows(lines, "cdc_source_lag_seconds", 0.25);
        Shows(lines, "cdc_source_confirmed_lsn", 0x16B3648);
        Shows(lines, "cdc_source_changes_total", 5_000_000_000);
        Shows(lines, "cdc_source_window_changes", 12);
        Shows(lines, "cdc_entities_awake", 1000, Silo);
        Shows(lines, "cdc_changes_finished_total", 4_999_999_988, Silo);
        Shows(lines, "cdc_changes_duplicates_total", 5, Silo);
        Shows(lines, "cdc_dead_letters_total", 1, Silo);
        Shows(lines, "cdc_delivery_latency_milliseconds", 2.5, Silo, "quantile=\"0.5\"");
        Shows(lines, "cdc_delivery_latency_milliseconds", 8.25, Silo, "quantile=\"0.99\"");
        Shows(lines, "cdc_delivery_latency_milliseconds", 20, Silo, "quantile=\"1\"");
        Shows(lines, "cdc_sink_healthy", 1, Silo, "sink=\"events\"", "type=\"kafka\"");
        Shows(lines, "cdc_sink_parked_oldest_seconds", 61, "sink=\"events\"");
        Shows(lines, "cdc_sink_delivered_total", 4_999_999_000, "sink=\"events\"");
        Shows(lines, "cdc_sink_attempts_total", 42, Silo, "sink=\"events\"");
        Shows(lines, "cdc_sink_paused", 1, Silo, "sink=\"events\"");
        Shows(lines, "cdc_stage_read_seconds_bucket", 0, "le=\"0.0005\"");
        Shows(lines, "cdc_stage_read_seconds_bucket", 1, "le=\"0.005\"");
        Shows(lines, "cdc_stage_read_seconds_bucket", 2, "le=\"+Inf\"");
        Shows(lines, "cdc_stage_read_seconds_count", 2);
        Shows(lines, "cdc_stage_read_seconds_sum", 700.003);
        Shows(lines, "cdc_stage_dispatch_seconds_count", 2);
        Shows(lines, "cdc_stage_apply_seconds_count", 2, Silo);
        Shows(lines, "cdc_stage_delivery_seconds_bucket", 1, Silo, "sink=\"events\"", "le=\"0.005\"");
        Assert.Contains(lines, l => Is(l, "cdc_stored_dead_letters", 4) && l.Contains("sink=\"events\",source=\"shop\",table=\"public.orders\"", StringComparison.Ordinal));
        Assert.Contains(lines, l => Is(l, "cdc_stored_parked", 1) && l.Contains("table=\"public.lines\"", StringComparison.Ordinal));
        Assert.Contains(lines, l => Is(l, "cdc_stored_parked_bytes", 600) && l.Contains("table=\"public.orders\"", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("cdc_stored_parked_oldest_seconds{", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("# HELP cdc_source_lag_bytes ", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("dotnet_process_cpu_time_seconds_total", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("http_server_active_requests", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_source_that_cannot_be_read_shows_no_stale_figures()
    {
        var reachable = true;
        var cluster = new FakeCluster
        {
            Sources = { ["flaky"] = () => reachable ? new(RunningGateway.Status("flaky")) : throw new SiloUnavailableException("none") },
        };
        await using var gateway = await RunningGateway.Start(cluster, "flaky");
        await Scrape(gateway, "cdc_source_reachable", 1);
        reachable = false;
        var lines = await Scrape(gateway, "cdc_source_reachable", 0);
        Assert.DoesNotContain(lines, l => l.StartsWith("cdc_source_lag", StringComparison.Ordinal) && l.Contains("\"flaky\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Replays_that_have_not_ended_are_shown_and_sums_stay()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => new(RunningGateway.Status("shop")) } };
        var replays = cluster.Replays.Views;
        replays[1] = replays[1] with { State = "done" };
        replays[3] = replays[3] with { State = "paused", Waiting = null };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var lines = await Scrape(gateway, "cdc_replay_rate", 99.96);
        const string two = "replay=\"2\"";
        const string sink = "sink=\"events\"";
        Shows(lines, "cdc_replay_state", 1, two, sink, "state=\"running\"");
        Shows(lines, "cdc_replay_state", 0, two, sink, "state=\"paused\"");
        Shows(lines, "cdc_replay_state", 1, "replay=\"3\"", "state=\"paused\"");
        Shows(lines, "cdc_replay_waiting", 1, two, sink);
        Shows(lines, "cdc_replay_waiting", 0, "replay=\"3\"");
        Shows(lines, "cdc_replay_rate_limit", 100, two, sink);
        Shows(lines, "cdc_replay_rows", 50, two, sink, "table=\"public.a\"");
        Shows(lines, "cdc_replay_rows_done", 20, two, sink, "table=\"public.b\"");
        Shows(lines, "cdc_replay_sent", 15, two, sink, "table=\"public.a\"");
        Shows(lines, "cdc_replay_parked", 4, two, sink, "table=\"public.a\"");
        Shows(lines, "cdc_replay_dead_letters", 1, two, sink, "table=\"public.a\"");
        Shows(lines, "cdc_replays_sent_total", 30, sink, "table=\"public.a\"");
        Assert.DoesNotContain(lines, l => l.Contains("replay=\"1\"", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, l => l.StartsWith("cdc_replays_ended_total{", StringComparison.Ordinal));

        // One goes on, one ends, and one begins and ends between two looks.
        replays[2] = With(replays[2], 40);
        replays[3] = With(replays[3], 35) with { State = "cancelled" };
        replays[4] = With(FakeReplays.Replay(4), 7) with { State = "done" };
        lines = await Scrape(gateway, "cdc_replays_sent_total", 40 + 35 + 7);
        Shows(lines, "cdc_replay_sent", 40, two, "table=\"public.b\"");
        Shows(lines, "cdc_replays_rows_done_total", 60, sink, "table=\"public.b\"");
        Shows(lines, "cdc_replays_parked_total", 12, sink, "table=\"public.b\"");
        Shows(lines, "cdc_replays_dead_letters_total", 3, sink, "table=\"public.b\"");
        Shows(lines, "cdc_replays_ended_total", 1, sink, "state=\"cancelled\"");
        Shows(lines, "cdc_replays_ended_total", 1, sink, "state=\"done\"");
        Assert.All(lines.Where(l => l.StartsWith("cdc_replay_", StringComparison.Ordinal)), l => Assert.Contains(two, l, StringComparison.Ordinal));

        // Many newer ones come, and an old one ends. Nothing is counted twice.
        for (var id = 5; id <= 60; id++)
            replays[id] = With(FakeReplays.Replay(id), 1) with { State = "done" };
        lines = await Scrape(gateway, "cdc_replays_sent_total", 82 + 56);
        Shows(lines, "cdc_replay_sent", 40, two, "table=\"public.a\"");
        replays[2] = With(replays[2], 50) with { State = "failed" };
        lines = await Scrape(gateway, "cdc_replays_sent_total", 92 + 56);
        Assert.DoesNotContain(lines, l => l.StartsWith("cdc_replay_", StringComparison.Ordinal));
        Shows(lines, "cdc_replays_ended_total", 57, sink, "state=\"done\"");
        Shows(lines, "cdc_replays_ended_total", 1, sink, "state=\"failed\"");

        // When they cannot be read, only the sums are shown.
        replays[61] = With(FakeReplays.Replay(61), 2);
        lines = await Scrape(gateway, "cdc_replays_sent_total", 94 + 56);
        Shows(lines, "cdc_replay_sent", 2, "replay=\"61\"");
        cluster.Replays.IsUnreachable = true;
        lines = await ScrapeUntil(gateway, l => !l.Any(x => x.StartsWith("cdc_replay_", StringComparison.Ordinal)), "the figures of a replay to leave");
        Shows(lines, "cdc_replays_sent_total", 94 + 56, sink, "table=\"public.a\"");
    }

    private static ReplayView With(ReplayView replay, long sent) =>
        replay with { Tables = [.. replay.Tables.Select(t => t with { Sent = sent })] };

    [Fact]
    public async Task The_gauge_that_walks_all_activations_is_never_asked()
    {
        using var meter = new Meter("Microsoft.Orleans");
        var (walked, cheap) = (0, 0);
        meter.CreateObservableGauge("orleans-messaging-processing-activation-data", () => Interlocked.Increment(ref walked));
        meter.CreateObservableGauge("orleans-cheap", () => Interlocked.Increment(ref cheap));
        var cluster = new FakeCluster { Sources = { ["shop"] = () => new(RunningGateway.Status("shop", SourceState.Starting)) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var text = await gateway.Client.GetStringAsync("/metrics");
        Assert.Contains("orleans_cheap", text, StringComparison.Ordinal);
        Assert.True(cheap > 0);
        Assert.DoesNotContain("activation_data", text, StringComparison.Ordinal);
        Assert.Equal(0, walked);
    }

    // Two changes were measured in each stage: one of 3 ms, one of 700 s.
    private static SourceStatus Measured(SourceStatus status)
    {
        var times = new TimeHistogram();
        times.Record(TimeSpan.FromMilliseconds(3));
        times.Record(TimeSpan.FromSeconds(700));
        var (silo, figures) = status.Silos.Single();
        status.Silos[silo] = figures with
        {
            Applies = times.Take(),
            Sinks = [figures.Sinks[0] with { Attempts = 42, Deliveries = times.Take(), Pause = new("events", "me", DateTimeOffset.UnixEpoch) }],
        };
        return status with { Reads = times.Take(), Dispatches = times.Take() };
    }

    private const string Silo = "silo=\"S127.0.0.1:11111:1\"";

    private static string SourceOf(string[] lines) =>
        lines.First(l => l.StartsWith("cdc_source_reachable{", StringComparison.Ordinal)).Split("source=\"")[1].Split('"')[0];

    private static void Shows(string[] lines, string name, double value, params string[] tags) =>
        Assert.True(
            lines.Any(l => Is(l, name, value) && tags.Append($"source=\"{SourceOf(lines)}\"").All(t => l.Contains(t, StringComparison.Ordinal))),
            $"no line {name} {string.Join(',', tags)} {value} in\n{string.Join('\n', lines.Where(l => l.StartsWith("cdc_", StringComparison.Ordinal)))}");

    private static bool Is(string line, string name, double value) =>
        line.StartsWith(name + "{", StringComparison.Ordinal)
        && double.Parse(line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Trim().Split(' ')[0]) == value;

    // The figures arrive with a poll, and the exporter may answer a scrape from a short cache.
    private static Task<string[]> Scrape(RunningGateway gateway, string name, double value) =>
        ScrapeUntil(gateway, lines => lines.Any(l => Is(l, name, value)), $"{name} to become {value}");

    private static async Task<string[]> ScrapeUntil(RunningGateway gateway, Func<string[], bool> condition, string what)
    {
        var until = Stopwatch.StartNew();
        while (true)
        {
            var lines = (await gateway.Client.GetStringAsync("/metrics")).Split('\n');
            if (condition(lines))
                return lines;
            Assert.True(until.Elapsed < TimeSpan.FromSeconds(20), $"It was waited too long for {what} in\n{string.Join('\n', lines.Where(l => l.StartsWith("cdc_", StringComparison.Ordinal)))}");
            await Task.Delay(50);
        }
    }
}
