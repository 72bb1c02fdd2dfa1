using System.Diagnostics.Metrics;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Grains.Interfaces;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Counts and logs what one source's log holds and capture does not hand out.</summary>
internal sealed class CaptureObserver(string source, ILogger logger) : ICaptureObserver
{
    private static readonly Counter<long> MessagesIgnored = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.messages_ignored", description: "Logical messages of other prefixes than ours.");

    private static readonly Counter<long> ChangesNotSelected = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.changes_not_selected", description: "Changes of published tables that the configuration does not select.");

    private static readonly Counter<long> TruncatesIgnored = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.truncates_ignored", description: "Truncations of captured tables, which are not captured yet.");

    private readonly KeyValuePair<string, object?> _source = new("source", source);

    public void MessageIgnored() => MessagesIgnored.Add(1, _source);

    public void ChangeNotSelected() => ChangesNotSelected.Add(1, _source);

    public void TruncateIgnored(string table, bool first)
    {
        TruncatesIgnored.Add(1, _source);
        if (first)
            logger.TruncateNotCaptured(source, table);
    }
}
