using System.Diagnostics.Metrics;
using System.Globalization;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The metrics of replays, read every few seconds. A replay that is running or paused has figures of its own; they leave when it has ended.
/// While the replays cannot be read, no such figures are shown, and the sums stay as they were.
/// </summary>
internal sealed partial class ReplayWatch : ClusterWatch
{
    /// <summary>How many of the newest replays are read each time; more if all of them are new.</summary>
    private const int Newest = 20;

    private readonly ClusterCalls _cluster;
    private readonly ILogger _logger;
    private readonly ReplayFigures _figures = new();
    private volatile bool _isCurrent;
    private bool _hasBegun;

    public ReplayWatch(ClusterCalls cluster, GatewaySettings settings, IMeterFactory meters, TimeProvider time, ILogger<ReplayWatch> logger)
        : base(settings.PollInterval, time)
    {
        _cluster = cluster;
        _logger = logger;
        var meter = meters.Create(CdcMeter.Name);
        meter.CreateObservableGauge("cdc.replay.state", States, null, "1 for the state of a replay that has not ended, 0 for the other one.");
        meter.CreateObservableGauge("cdc.replay.waiting", () => Open(r => r.Waiting is null ? 0 : 1), null, "1 while the replay waits, such as for a sink that is out of reach.");
        meter.CreateObservableGauge("cdc.replay.rate", () => Open(r => r.Speed), null, "Rows per second at last.");
        meter.CreateObservableGauge("cdc.replay.rate_limit", () => Open(r => r.Rate), null, "Most rows per second.");
        Gauge("cdc.replay.rows", "{row}", "Rows that there were when the replay was started, roughly.", t => t.RowsTotal);
        Gauge("cdc.replay.rows_done", "{row}", "Rows that are done: sent, or not to be sent.", t => t.RowsDone);
        Gauge("cdc.replay.sent", "{row}", "Rows that were sent.", t => t.Sent);
        Gauge("cdc.replay.parked", "{event}", "Events that were parked.", t => t.Parked);
        Gauge("cdc.replay.dead_letters", "{event}", "Events that became dead letters.", t => t.Refused);
        Counter("cdc.replays.rows_done", "{row}", "Rows that replays are done with.", s => s.RowsDone);
        Counter("cdc.replays.sent", "{row}", "Rows that replays have sent.", s => s.Sent);
        Counter("cdc.replays.parked", "{event}", "Events of replays that were parked.", s => s.Parked);
        Counter("cdc.replays.dead_letters", "{event}", "Events of replays that became dead letters.", s => s.DeadLetters);
        meter.CreateObservableCounter(
            "cdc.replays.ended", () => _figures.Endings.Select(e => new Measurement<long>(
                e.Value, Tag("source", e.Key.Source), Tag("sink", e.Key.Sink), Tag("state", e.Key.State))),
            "{replay}", "Replays that have ended since the gateway started.");

        void Gauge(string name, string unit, string description, Func<ReplayTableView, long> figure) => meter.CreateObservableGauge(
            name, () => Shown.SelectMany(r => r.Tables.Select(t => new Measurement<long>(figure(t), [.. Tags(r), Tag("table", t.Table)]))), unit, description);

        void Counter(string name, string unit, string description, Func<ReplaySums, long> figure) => meter.CreateObservableCounter(
            name, () => _figures.Sums.Select(s => new Measurement<long>(
                figure(s.Value), Tag("source", s.Key.Source), Tag("sink", s.Key.Sink), Tag("table", s.Key.Table))), unit, description);
    }

    private IReadOnlyList<ReplayView> Shown => _isCurrent ? _figures.Open : [];

    /// <inheritdoc />
    protected override async Task Read(CancellationToken cancellation)
    {
        if (_hasBegun)
            await Follow(cancellation);
        else
            await Begin(cancellation);
        _hasBegun = _isCurrent = true;
    }

    /// <inheritdoc />
    protected override void Unread(ClusterTroubleException trouble)
    {
        _isCurrent = false;
        LogUnread(_logger, trouble.Message);
    }

    private async Task Begin(CancellationToken cancellation)
    {
        var all = new List<ReplayView>();
        ReplayView[] page;
        do
        {
            page = await List(all.Count == 0 ? 0 : all[^1].Id, cancellation);
            all.AddRange(page);
        }
        while (page.Length == Newest);
        _figures.Begin(all);
    }

    // One that is older than the newest ones is read only while it has not ended.
    private async Task Follow(CancellationToken cancellation)
    {
        var seen = new HashSet<long>();
        for (var before = 0L; await List(before, cancellation) is { Length: > 0 } page; before = page[^1].Id)
        {
            var isAllNew = page.All(r => !_figures.IsKnown(r.Id));
            foreach (var replay in page)
            {
                seen.Add(replay.Id);
                _figures.Take(replay);
            }

            if (isAllNew && page.Length == Newest)
                continue;
            _figures.KnowAllBefore(page[^1].Id);
            break;
        }

        foreach (var replay in _figures.Open.Where(r => !seen.Contains(r.Id)))
        {
            if (await _cluster.Replays("a replay", g => g.Get(replay.Id), cancellation) is { } found)
                _figures.Take(found);
            else
                _figures.Lost(replay);
        }
    }

    private Task<ReplayView[]> List(long before, CancellationToken cancellation) => _cluster.Replays("the replays", g => g.List(before, Newest), cancellation);

    private IEnumerable<Measurement<int>> States() =>
        from replay in Shown
        from state in (string[])["running", "paused"]
        select new Measurement<int>(replay.State == state ? 1 : 0, [.. Tags(replay), Tag("state", state)]);

    private IEnumerable<Measurement<double>> Open(Func<ReplayView, double> figure) => Shown.Select(r => new Measurement<double>(figure(r), Tags(r)));

    private static KeyValuePair<string, object?>[] Tags(ReplayView replay) =>
        [Tag("replay", replay.Id.ToString(CultureInfo.InvariantCulture)), Tag("source", replay.Source), Tag("sink", replay.Sink)];

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The replays cannot be read: {Reason}")]
    private static partial void LogUnread(ILogger logger, string reason);
}
