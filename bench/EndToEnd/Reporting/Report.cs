using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Bench.EndToEnd.Measuring;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Reporting;

/// <summary>Results as Markdown for people and as JSON for programs.</summary>
internal sealed class Report(BenchmarkResults results, string productCommit, string commandLine)
{
    private const string Product = "CdcOrleans", Debezium = "Debezium", Ceiling = "pg_recvlogical";

    private static readonly JsonSerializerOptions _jsonOptions = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly string _time = DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) + " UTC";

    public string Markdown()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{_time}, {Machine()}; commit {productCommit}; {string.Join("; ", results.Versions)}.");
        text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"    {commandLine}").AppendLine();
        foreach (var workload in results.Drains.GroupBy(d => d.Workload))
            AppendWorkload(text, workload.Key, [.. workload]);
        if (results.Latencies.Count > 0)
            AppendLatencies(text);
        foreach (var endurance in results.Endurances)
            AppendEndurance(text, endurance);
        if (results.Backfills.Count > 0)
            AppendBackfills(text);
        return text.ToString();
    }

    public string Json() => JsonSerializer.Serialize(
        new
        {
            time = _time,
            machine = Machine(),
            commit = productCommit,
            commandLine,
            versions = results.Versions,
            postgres = DatabaseServer.Settings,
            drains = results.Drains.Select(d => new
            {
                d.Workload,
                d.Consumer,
                d.Round,
                d.Changes,
                d.Events,
                d.Seconds,
                changesPerSecond = d.PerSecond,
                cpuMicrosecondsPerChange = Enum.GetValues<Role>().ToDictionary(r => r.ToString(), d.CpuPerChange),
                workingSetPeakBytes = d.Usage.PeakBytes,
                workingSetMeanBytes = d.Usage.MeanBytes,
            }),
            latencies = results.Latencies,
            endurances = results.Endurances,
            backfills = results.Backfills,
        },
        _jsonOptions);

    /// <summary>What <c>git describe</c> says of the folder that a program was built from.</summary>
    public static string Commit(string folder)
    {
        var start = new ProcessStartInfo("git", ["-C", folder, "describe", "--always", "--dirty", "--abbrev=10"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var git = Process.Start(start)!;
            var output = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return git.ExitCode == 0 ? output : "unknown";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }
    }

    private void AppendWorkload(StringBuilder text, string name, DrainResult[] drains)
    {
        var description = Workload.All.First(w => w.Name == name).Description;
        text.AppendLine(CultureInfo.InvariantCulture,
            $"**{name}**: {description}; {drains[0].Changes:N0} changes a round, {drains.Select(d => d.Round).Distinct().Count()} rounds").AppendLine();
        text.AppendLine("| | changes/s (min–max) | × Debezium | × pg_recvlogical | CPU µs a change: itself | walsender | other PostgreSQL | broker | all | working set, peak (mean) MB |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|---|");
        foreach (var consumer in results.Consumers)
        {
            var own = drains.Where(d => d.Consumer == consumer).ToArray();
            var speed = Spread.Of(own.Select(d => d.PerSecond));
            double Cpu(Role role) => Spread.Of(own.Select(d => d.CpuPerChange(role))).Median;
            Role[] counted = [Role.Consumer, Role.Walsender, Role.OtherPostgres, Role.Broker];
            var all = Spread.Of(own.Select(d => counted.Sum(d.CpuPerChange))).Median;
            var peak = Spread.Of(own.Select(d => d.Usage.PeakBytes / 1e6)).Median;
            var mean = Spread.Of(own.Select(d => d.Usage.MeanBytes / 1e6)).Median;
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {consumer} | {speed.Median:N0} ({speed.Min:N0}–{speed.Max:N0}) | {Ratio(drains, consumer, Debezium)} | {Ratio(drains, consumer, Ceiling)} | {Cpu(Role.Consumer):0.0} | {Cpu(Role.Walsender):0.0} | {Cpu(Role.OtherPostgres):0.0} | {Cpu(Role.Broker):0.0} | {all:0.0} | {peak:N0} ({mean:N0}) |");
        }

        text.AppendLine();
    }

    private void AppendLatencies(StringBuilder text)
    {
        text.AppendLine("**latency**: commit → append at the broker, milliseconds").AppendLine();
        text.AppendLine("| | changes measured | changes/s | p50 | p90 | p99 | max |").AppendLine("|---|---|---|---|---|---|---|");
        foreach (var l in results.Latencies)
        {
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {l.Consumer} | {l.Changes:N0} | {l.Rate:N0} | {l.P50:0.0} | {l.P90:0.0} | {l.P99:0.0} | {l.Max:0.0} |");
        }

        text.AppendLine();
    }

    private static void AppendEndurance(StringBuilder text, EnduranceResult result)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"**endurance**: {result.Consumer} under full load (at least {result.LeastWaiting:N0} changes waiting)").AppendLine();
        text.AppendLine("| minute | changes/s | working set, mean MB | peak MB |").AppendLine("|---|---|---|---|");
        foreach (var m in result.Minutes)
            text.AppendLine(CultureInfo.InvariantCulture, $"| {m.Minute} | {m.Changes / 60:N0} | {m.MeanBytes / 1e6:N0} | {m.PeakBytes / 1e6:N0} |");
        text.AppendLine();
    }

    private void AppendBackfills(StringBuilder text)
    {
        text.AppendLine(CultureInfo.InvariantCulture,
            $"**backfill**: {results.Backfills[0].Rows:N0} rows that exist, {results.Backfills.Select(b => b.Round).Distinct().Count()} rounds").AppendLine();
        text.AppendLine("| | rows/s (min–max) | × Debezium | seconds from the start | CPU µs a row: itself | PostgreSQL | broker | all | working set, peak (mean) MB |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|");
        foreach (var own in results.Backfills.GroupBy(b => b.Consumer))
        {
            var speed = Spread.Of(own.Select(b => b.PerSecond));
            var theirs = results.Backfills.Where(b => b.Consumer == Debezium).Select(b => b.PerSecond).ToArray();
            var ratio = theirs.Length == 0 ? "" : (speed.Median / Spread.Of(theirs).Median).ToString("0.00", CultureInfo.InvariantCulture);
            double Cpu(params Role[] roles) => Spread.Of(own.Select(b => roles.Sum(r => b.Usage.Cpu[r]) / b.Rows)).Median;
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {own.Key} | {speed.Median:N0} ({speed.Min:N0}–{speed.Max:N0}) | {ratio} | {Spread.Of(own.Select(b => b.FromStart)).Median:0.0} | {Cpu(Role.Consumer):0.0} | {Cpu(Role.Walsender, Role.OtherPostgres):0.0} | {Cpu(Role.Broker):0.0} | {Cpu(Role.Consumer, Role.Walsender, Role.OtherPostgres, Role.Broker):0.0} | {Spread.Of(own.Select(b => b.Usage.PeakBytes / 1e6)).Median:N0} ({Spread.Of(own.Select(b => b.Usage.MeanBytes / 1e6)).Median:N0}) |");
        }

        text.AppendLine();
    }

    private static string Ratio(DrainResult[] drains, string consumer, string other)
    {
        var theirs = drains.Where(d => d.Consumer == other).Select(d => d.PerSecond).ToArray();
        if (theirs.Length == 0)
            return "";
        var ratio = Spread.Of(drains.Where(d => d.Consumer == consumer).Select(d => d.PerSecond)).Median / Spread.Of(theirs).Median;
        return ratio.ToString("0.00", CultureInfo.InvariantCulture);
    }

    private static string Machine()
    {
        var model = First("/proc/cpuinfo", "model name").Split(':')[^1].Trim();
        var memory = First("/proc/meminfo", "MemTotal").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var gigabytes = memory.Length > 1 ? long.Parse(memory[1], CultureInfo.InvariantCulture) / 1024 / 1024 : 0;
        return $"{Environment.ProcessorCount} cores ({model}), {gigabytes} GB memory, .NET {Environment.Version}";
    }

    private static string First(string file, string key) =>
        File.ReadLines(file).FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal)) ?? "";
}
