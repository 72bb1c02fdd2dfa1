namespace CdcOrleans.Bench.EndToEnd.Servers;

/// <summary>An unpacked Apache Kafka: its classes run the broker, the storage tool and Kafka Connect.</summary>
internal sealed class KafkaHome
{
    private readonly string _libraries;
    private readonly string _java;

    public KafkaHome(string? folder, string? plugins)
    {
        if (folder is null || !Directory.Exists(Path.Combine(folder, "libs")))
        {
            throw new BenchmarkException(
                $"No Apache Kafka at '{folder}'. Set KAFKA_HOME, or --kafka-home, to an unpacked Kafka 4.x (a folder with libs/).");
        }

        _libraries = Path.Combine(folder, "libs", "*");
        Plugins = plugins ?? Path.Combine(folder, "plugins");
        _java = Environment.GetEnvironmentVariable("JAVA_HOME") is { Length: > 0 } home ? Path.Combine(home, "bin", "java") : "java";
    }

    /// <summary>Folder of Connect's plugins, Debezium among them.</summary>
    public string Plugins { get; }

    /// <summary>Command of one of Kafka's programs, with the garbage collector settings of Kafka's own scripts.</summary>
    public string[] Command(string folder, string heap, string program, params string[] arguments)
    {
        var logging = Path.Combine(folder, "log4j2.properties");
        if (!File.Exists(logging))
        {
            File.WriteAllText(logging,
                """
                status = error
                appenders = out
                appender.out.type = Console
                appender.out.name = out
                appender.out.layout.type = PatternLayout
                appender.out.layout.pattern = %d %-5p %c{1}: %m%n
                rootLogger.level = WARN
                rootLogger.appenderRefs = out
                rootLogger.appenderRef.out.ref = out
                """);
        }

        return
        [
            _java, .. heap.Split(' ', StringSplitOptions.RemoveEmptyEntries), "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35", "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=" + logging,
            "-cp", _libraries, program, .. arguments,
        ];
    }
}
