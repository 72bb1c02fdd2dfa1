using System.CommandLine;
using CdcOrleans.Bench.EndToEnd;
using CdcOrleans.Bench.EndToEnd.Reporting;
using CdcOrleans.Bench.EndToEnd.Workloads;

// Processes are measured through /proc.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

string[] allConsumers = ["recvlogical", "product", "debezium"];
string[] allWorkloads = [.. Workload.All.Select(w => w.Name), Benchmark.LatencyWorkload, .. Benchmark.OnlyNamed];

var only = new Option<string[]>("--only") { Description = "Consumers to run; all of them unless named.", AllowMultipleArgumentsPerToken = true };
only.AcceptOnlyFromAmong(allConsumers);
var workloads = new Option<string[]>("--workload") { Description = "Workloads to run; all of them unless named.", AllowMultipleArgumentsPerToken = true };
workloads.AcceptOnlyFromAmong(allWorkloads);
var quick = new Option<bool>("--quick") { Description = "50,000 changes, 20,000 keys, one round, 10 s of latency: to see that all works." };
var changes = new Option<long?>("--changes") { Description = "Changes a round. Default: 400,000 or 500,000, by workload." };
var keys = new Option<long?>("--keys") { Description = "Rows of the workloads that update again and again. Default: 100,000." };
var rounds = new Option<int?>("--rounds") { Description = "Measured rounds of each workload. Default: 3." };
var warmRounds = new Option<int?>("--warm-rounds") { Description = "Unmeasured rounds of each workload before. Default: 1." };
var seconds = new Option<int?>("--latency-seconds") { Description = "Seconds of latency measured, after 10 s of warm-up. Default: 30." };
var rate = new Option<int>("--latency-rate") { Description = "Changes a second while latency is measured.", DefaultValueFactory = _ => 1000 };
var minutes = new Option<int?>("--endurance-minutes") { Description = "Minutes of full load in the workload 'endurance', which runs only when it is named. Default: 10." };
var json = new Option<FileInfo?>("--json") { Description = "File that gets the results of every round as JSON." };
var data = new Option<DirectoryInfo?>("--data") { Description = "Folder for data and logs, kept afterwards. Default: a temporary one, removed unless the run fails." };
var product = new Option<FileInfo?>("--product") { Description = "The silo's program. Default: src/Silo/bin/Release/net10.0/CdcOrleans.Silo.dll." };
var activation = new Option<string?>("--activation") { Description = "CdcOrleans' option of that name for its tables: when_needed or always. Default: not written." };
var kafkaHome = new Option<string?>("--kafka-home") { Description = "An unpacked Apache Kafka 4.x. Default: KAFKA_HOME." };
var plugins = new Option<string?>("--connect-plugins") { Description = "Kafka Connect's plugins with Debezium for PostgreSQL. Default: plugins in the folder of Kafka." };
var heap = new Option<string>("--connect-heap") { Description = "Heap of Kafka Connect.", DefaultValueFactory = _ => "-Xms256m -Xmx512m" };

var command = new RootCommand("Measures CdcOrleans beside pg_recvlogical and Debezium, end to end: PostgreSQL to Kafka on one machine.")
{
    only, workloads, quick, changes, keys, rounds, warmRounds, seconds, rate, minutes, json, data, product, activation, kafkaHome, plugins, heap,
};

command.SetAction(async (arguments, cancel) =>
{
    var short_ = arguments.GetValue(quick);
    var named = arguments.GetValue(data);
    var program = arguments.GetValue(product)?.FullName ?? Path.Combine(Repository(), "src", "Silo", "bin", "Release", "net10.0", "CdcOrleans.Silo.dll");
    var options = new BenchmarkOptions
    {
        Consumers = Chosen(arguments.GetValue(only), allConsumers),
        Workloads = Chosen(arguments.GetValue(workloads), [.. allWorkloads.Except(Benchmark.OnlyNamed)]),
        Changes = arguments.GetValue(changes) ?? (short_ ? 50_000 : null),
        Keys = arguments.GetValue(keys) ?? (short_ ? 20_000 : 100_000),
        Rounds = arguments.GetValue(rounds) ?? (short_ ? 1 : 3),
        WarmRounds = arguments.GetValue(warmRounds) ?? 1,
        LatencySeconds = arguments.GetValue(seconds) ?? (short_ ? 10 : 30),
        LatencyRate = arguments.GetValue(rate),
        EnduranceMinutes = arguments.GetValue(minutes) ?? (short_ ? 1 : 10),
        DataFolder = named?.FullName ?? Directory.CreateTempSubdirectory("cdc-bench-").FullName,
        Product = program,
        Activation = arguments.GetValue(activation),
        KafkaHome = arguments.GetValue(kafkaHome) ?? Environment.GetEnvironmentVariable("KAFKA_HOME"),
        ConnectPlugins = arguments.GetValue(plugins),
        ConnectHeap = arguments.GetValue(heap)!,
    };
    // The database server runs as another user than root and must be able to reach its folder.
    Directory.CreateDirectory(options.DataFolder);
    File.SetUnixFileMode(options.DataFolder, (UnixFileMode)0b111_101_101);
    var commit = Report.Commit(Repository());
    try
    {
        await using var benchmark = new Benchmark(options, commit);
        var results = await benchmark.Run(cancel);
        var report = new Report(results, commit, string.Join(' ', ["bench/run.sh", .. args]));
        Console.WriteLine(report.Markdown());
        if (arguments.GetValue(json) is { } file)
            await File.WriteAllTextAsync(file.FullName, report.Json(), cancel);
    }
    catch (BenchmarkException e)
    {
        await Console.Error.WriteLineAsync($"{e.Message}\nData and logs are in {options.DataFolder}.");
        return 1;
    }
    catch (OperationCanceledException)
    {
        await Console.Error.WriteLineAsync("Stopped.");
        if (named is null)
            Directory.Delete(options.DataFolder, recursive: true);
        return 130;
    }

    if (named is null)
        Directory.Delete(options.DataFolder, recursive: true);
    return 0;
});

return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) });

static HashSet<string> Chosen(string[]? named, string[] all) => [.. named is { Length: > 0 } ? named : all];

static string Repository()
{
    for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
    {
        if (File.Exists(Path.Combine(folder.FullName, "CdcOrleans.sln")))
            return folder.FullName;
    }

    return Environment.CurrentDirectory;
}
