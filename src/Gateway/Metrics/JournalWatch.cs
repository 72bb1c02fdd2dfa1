using System.Diagnostics.Metrics;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The metrics of the journals. The figures are read once a minute, as often as they are measured, and only if a table has a journal.
/// While they cannot be read, the last ones are shown.
/// </summary>
internal sealed partial class JournalWatch : ClusterWatch
{
    /// <summary>Time between two reads.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private readonly ClusterCalls _cluster;
    private readonly GatewaySettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private volatile JournalFigures[] _journals = [];

    public JournalWatch(ClusterCalls cluster, GatewaySettings settings, IMeterFactory meters, TimeProvider time, ILogger<JournalWatch> logger)
        : base(Interval, time)
    {
        _cluster = cluster;
        _settings = settings;
        _time = time;
        _logger = logger;
        var meter = meters.Create(CdcMeter.Name);
        meter.CreateObservableGauge("cdc.journal.bytes", () => _journals.Select(j => Measure(j, j.Bytes)), "By", "Bytes of the journal in the control database.");
        meter.CreateObservableGauge(
            "cdc.journal.oldest", () => _journals.Where(j => j.Oldest is not null).Select(j => Measure(j, (long)(_time.GetUtcNow() - j.Oldest!.Value).TotalSeconds)), "s",
            "Age of the oldest change in the journal.");
    }

    /// <inheritdoc />
    protected override bool IsNeeded => _settings.Sources.Any(s => s.Tables.Any(t => t.Journal is not null));

    /// <inheritdoc />
    protected override async Task Read(CancellationToken cancellation) =>
        _journals = await _cluster.Journals("the journals", g => g.ListJournals(), cancellation);

    /// <inheritdoc />
    protected override void Unread(ClusterTroubleException trouble) => LogUnread(_logger, trouble.Message);

    private static Measurement<long> Measure(JournalFigures journal, long figure) =>
        new(figure, new KeyValuePair<string, object?>("source", journal.Source), new KeyValuePair<string, object?>("table", journal.Table));

    [LoggerMessage(Level = LogLevel.Debug, Message = "The figures of the journals cannot be read: {Reason}")]
    private static partial void LogUnread(ILogger logger, string reason);
}
