using System.Diagnostics.Metrics;
using System.Globalization;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model;

namespace CdcOrleans.Gateway.Metrics;

/// <summary>
/// The times of the stages on a change's way, as histograms in the form that Prometheus has for them: <c>…_bucket</c> with the label
/// <c>le</c>, <c>…_sum</c> and <c>…_count</c>. The silos count; a histogram of this process would show only what this process records.
/// </summary>
internal static class StageMetrics
{
    private static readonly string[] Bounds = [.. TimeHistogram.Bounds.Select(b => b.ToString(CultureInfo.InvariantCulture)), "+Inf"];

    /// <summary>Adds the histograms.</summary>
    /// <param name="meter">The meter.</param>
    /// <param name="statuses">Returns the statuses that are shown.</param>
    public static void Add(Meter meter, Func<IEnumerable<SourceStatus>> statuses)
    {
        Add(meter, "read", "from commit until the reader has the change", () =>
            from status in statuses()
            where status.Reads is not null
            select (status.Reads!, new[] { Tag("source", status.Source) }));
        Add(meter, "dispatch", "from there until it is sent to its partition", () =>
            from status in statuses()
            where status.Dispatches is not null
            select (status.Dispatches!, new[] { Tag("source", status.Source) }));
        Add(meter, "apply", "from there until it is applied", () =>
            from status in statuses()
            from silo in status.Silos
            where silo.Value.Applies is not null
            select (silo.Value.Applies!, new[] { Tag("source", status.Source), Tag("silo", silo.Key) }));
        Add(meter, "delivery", "from there until the sink has answered for its events", () =>
            from status in statuses()
            from silo in status.Silos
            from sink in silo.Value.Sinks
            where sink.Deliveries is not null
            select (sink.Deliveries!, new[] { Tag("source", status.Source), Tag("silo", silo.Key), Tag("sink", sink.Name) }));
    }

    private static void Add(Meter meter, string stage, string meaning, Func<IEnumerable<(TimeCounts Times, KeyValuePair<string, object?>[] Tags)>> histograms)
    {
        var name = $"cdc.stage.{stage}.seconds";
        meter.CreateObservableUpDownCounter($"{name}.bucket", () => histograms().SelectMany(h => Buckets(h.Times, h.Tags)), null, $"Time {meaning}: sampled changes up to the bound.");
        meter.CreateObservableUpDownCounter(
            $"{name}.sum", () => histograms().Select(h => new Measurement<double>(h.Times.SumSeconds, h.Tags)), null, $"Time {meaning}: sum of sampled changes.");
        meter.CreateObservableUpDownCounter(
            $"{name}.count", () => histograms().Select(h => new Measurement<long>(h.Times.Counts.Sum(), h.Tags)), null, $"Time {meaning}: sampled changes.");
    }

    // A bucket of Prometheus has the smaller ones in it.
    private static IEnumerable<Measurement<long>> Buckets(TimeCounts times, KeyValuePair<string, object?>[] tags)
    {
        var all = 0L;
        for (var i = 0; i < Bounds.Length; i++)
        {
            all += times.Counts[i];
            yield return new Measurement<long>(all, [.. tags, Tag("le", Bounds[i])]);
        }
    }

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
