using System.Diagnostics.Metrics;
using System.Globalization;
using CdcOrleans.Gateway.Api;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The metrics of backfills, read every few seconds: of those among the newest that are running or paused. While they cannot be read, none are
/// shown.
/// </summary>
internal sealed partial class BackfillWatch : ClusterWatch
{
    /// <summary>How many of the newest backfills are read each time.</summary>
    private const int Newest = 100;

    private readonly ClusterCalls _cluster;
    private readonly ILogger _logger;
    private volatile BackfillView[] _open = [];

    public BackfillWatch(ClusterCalls cluster, GatewaySettings settings, IMeterFactory meters, TimeProvider time, ILogger<BackfillWatch> logger)
        : base(settings.PollInterval, time)
    {
        _cluster = cluster;
        _logger = logger;
        var meter = meters.Create(CdcMeter.Name);
        meter.CreateObservableGauge("cdc.backfill.state", States, null, "1 for the state of a backfill that has not ended, 0 for the other one.");
        meter.CreateObservableGauge("cdc.backfill.waiting", () => Each(b => b.Waiting is null ? 0 : 1), null, "1 while the backfill waits, such as for open transactions.");
        meter.CreateObservableGauge("cdc.backfill.rate", () => Each(b => b.Speed), null, "Rows per second at last.");
        meter.CreateObservableGauge("cdc.backfill.percent", () => Each(b => BackfillReporting.Item(b).Percent), "%", "How much is done, by the server's statistics.");
        meter.CreateObservableGauge(
            "cdc.backfill.seconds_left", () => _open.Select(b => (Backfill: b, Left: BackfillReporting.Item(b).SecondsLeft)).Where(b => b.Left is not null)
                .Select(b => new Measurement<double>(b.Left!.Value, Tags(b.Backfill))), "s", "Seconds that the rest takes at the rate at last.");
        Gauge("cdc.backfill.rows", "{row}", "Rows that there were at the start, by the server's statistics.", t => t.RowsTotal);
        Gauge("cdc.backfill.rows_done", "{row}", "Rows that were read.", t => t.RowsDone);
        Gauge("cdc.backfill.sent", "{row}", "Rows that became events with the operation r.", t => t.Sent);
        Gauge("cdc.backfill.unchanged", "{row}", "Rows that need no event.", t => t.Unchanged);
        Gauge("cdc.backfill.created", "{row}", "Rows that were not stored.", t => t.Created);
        Gauge("cdc.backfill.updated", "{row}", "Rows that differed from the stored ones.", t => t.Updated);
        Gauge("cdc.backfill.deleted", "{row}", "Stored rows that do not exist any more.", t => t.Deleted);
        Gauge("cdc.backfill.parked", "{event}", "Events that were parked.", t => t.Parked);
        Gauge("cdc.backfill.dead_letters", "{event}", "Events that became dead letters.", t => t.Refused);

        void Gauge(string name, string unit, string description, Func<BackfillTableView, long> figure) => meter.CreateObservableGauge(
            name, () => _open.SelectMany(b => b.Tables.Select(t => new Measurement<long>(figure(t), [.. Tags(b), Tag("table", t.Table)]))), unit, description);
    }

    /// <inheritdoc />
    protected override async Task Read(CancellationToken cancellation) =>
        _open = [.. (await _cluster.Backfills("the backfills", g => g.List(0, Newest), cancellation)).Where(b => b.State is "running" or "paused")];

    /// <inheritdoc />
    protected override void Unread(ClusterTroubleException trouble)
    {
        _open = [];
        LogUnread(_logger, trouble.Message);
    }

    private IEnumerable<Measurement<int>> States() =>
        from backfill in _open
        from state in (string[])["running", "paused"]
        select new Measurement<int>(backfill.State == state ? 1 : 0, [.. Tags(backfill), Tag("state", state)]);

    private IEnumerable<Measurement<double>> Each(Func<BackfillView, double> figure) => _open.Select(b => new Measurement<double>(figure(b), Tags(b)));

    private static KeyValuePair<string, object?>[] Tags(BackfillView backfill) =>
        [Tag("backfill", backfill.Id.ToString(CultureInfo.InvariantCulture)), Tag("source", backfill.Source), Tag("kind", backfill.Kind)];

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The backfills cannot be read: {Reason}")]
    private static partial void LogUnread(ILogger logger, string reason);
}
