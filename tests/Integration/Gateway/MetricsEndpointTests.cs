using System.Diagnostics;
using System.Diagnostics.Metrics;
using CdcOrleans.Grains.Interfaces.Sources;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

[Collection("gateway")]
public class MetricsEndpointTests
{
    [Fact]
    public async Task The_figures_of_sources_silos_and_sinks_are_shown()
    {
        var cluster = new FakeCluster { Sources = { ["measured"] = () => new(RunningGateway.Status("measured")) } };
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
        Shows(lines, "cdc_sink_delivered_total", 4_999_999_000, "sink=\"events\"");
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
    private static async Task<string[]> Scrape(RunningGateway gateway, string name, double value)
    {
        var until = Stopwatch.StartNew();
        while (true)
        {
            var lines = (await gateway.Client.GetStringAsync("/metrics")).Split('\n');
            if (lines.Any(l => Is(l, name, value)))
                return lines;
            Assert.True(until.Elapsed < TimeSpan.FromSeconds(20), $"{name} did not become {value}");
            await Task.Delay(50);
        }
    }
}
