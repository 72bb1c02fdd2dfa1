using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Silo.Hosting;

/// <summary>
/// Settings of the .NET runtime and the C library that are read only from the environment, before any of our code runs. When they are not
/// set, the process restarts itself with them. Process id, arguments and streams stay the same.
/// </summary>
internal static class RuntimeSettings
{
    // Size of the youngest generation. By default it is as large as the processor's cache, which virtual machines often report as very
    // small. Then objects that wait for a sink outlive it, and are collected in the oldest generation. Measured: that costs a third of the
    // CPU per change.
    private const string YoungestGeneration = "DOTNET_GCgen0size";
    private const long YoungestGenerationBytes = 24 << 20;

    // Size of the next generation. It has room for the changes of one second, so objects that wait for the next checkpoint are collected
    // here.
    private const string MiddleGeneration = "DOTNET_GCgen1size";
    private const long MiddleGenerationBytes = 32 << 20;

    // The same if entities wake for every change. An activation consists of many objects, and should be collected where it was created.
    // Measured: with 24 MiB, new rows take 1.3 to 1.4 times as long.
    private const long YoungestGenerationBytesOfAlways = 128 << 20;
    private const long MiddleGenerationBytesOfAlways = 64 << 20;

    // How often the collector compacts, from 0 to 9. Entities that wake and sleep leave gaps in the oldest generation.
    private const string Compaction = "DOTNET_GCConserveMemory";
    private const string CompactionLevel = "6";

    // Number of arenas of the C library's allocator. Each arena keeps its memory, and the Kafka client allocates on many threads.
    private const string Arenas = "MALLOC_ARENA_MAX";

    /// <summary>Restarts the process if necessary. Returns when it is not necessary, or not possible.</summary>
    public static void Apply(PipelineConfiguration configuration)
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(YoungestGeneration) is not null)
            return;
        try
        {
            var (youngest, middle) = configuration.Sources.Values.Any(s => s.Tables.Any(t => t.Activation == EntityActivation.Always))
                ? (YoungestGenerationBytesOfAlways, MiddleGenerationBytesOfAlways)
                : (YoungestGenerationBytes, MiddleGenerationBytes);
            var environment = new List<string> { Setting(YoungestGeneration, youngest) };
            if (Environment.GetEnvironmentVariable(MiddleGeneration) is null)
                environment.Add(Setting(MiddleGeneration, middle));
            if (Environment.GetEnvironmentVariable(Compaction) is null)
                environment.Add($"{Compaction}={CompactionLevel}");
            if (Environment.GetEnvironmentVariable(Arenas) is null)
                environment.Add($"{Arenas}=2");
            foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
                environment.Add($"{variable.Key}={variable.Value}");
            var arguments = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline")).TrimEnd('\0').Split('\0');
            var program = File.ResolveLinkTarget("/proc/self/exe", returnFinalTarget: true)?.FullName ?? "/proc/self/exe";

            ReleaseDiagnosticsPort();

            // execve returns only when it fails. The process then continues without the settings: slower, but correct.
            _ = Execute(program, [.. arguments, null], [.. environment, null]);
        }
        catch (Exception impossible) when (impossible is IOException or UnauthorizedAccessException or EntryPointNotFoundException or DllNotFoundException)
        {
            // There is no /proc, or no such C library: the process continues without the settings.
        }
    }

    // The runtime reads these numbers as hexadecimal.
    private static string Setting(string name, long bytes) => string.Create(CultureInfo.InvariantCulture, $"{name}=0x{bytes:X}");

    // The name of the runtime's diagnostic socket contains the process id and its start time, which both stay the same. The new runtime
    // would find the name in use, and tools such as dotnet-trace could not reach it.
    private static void ReleaseDiagnosticsPort()
    {
        foreach (var socket in Directory.EnumerateFiles(Path.GetTempPath(), $"dotnet-diagnostic-{Environment.ProcessId}-*-socket"))
            File.Delete(socket);
    }

    [DllImport("libc", EntryPoint = "execve", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Execute(string program, string?[] arguments, string?[] environment);
}
