using System.Diagnostics.Metrics;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Counts what the log of a source has and capture does not return.</summary>
internal sealed class CaptureObserver(string source) : ICaptureObserver
{
    private static readonly Counter<long> MessagesIgnored = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.messages_ignored", description: "Logical messages of prefixes that are not captured.");

    private static readonly Counter<long> ChangesNotSelected = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.changes_not_selected", description: "Changes of published tables that the configuration does not select.");

    private static readonly Counter<long> Omitted = CdcMeter.Instance.CreateCounter<long>(
        "cdc.capture.values_omitted", description: "Values left out because they are longer than the limit of large_values.");

    private readonly KeyValuePair<string, object?> _source = new("source", source);

    public void MessageIgnored() => MessagesIgnored.Add(1, _source);

    public void ValuesOmitted(int values) => Omitted.Add(values, _source);

    public void ChangeNotSelected() => ChangesNotSelected.Add(1, _source);
}
