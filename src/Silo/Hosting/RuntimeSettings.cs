using System.Collections;
using System.Runtime.InteropServices;
using System.Text;

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
    private const string YoungestGenerationBytes = "0x1800000";

    // Size of the next generation. It has room for the changes of one second, so objects that wait for the next checkpoint are collected
    // here.
    private const string MiddleGeneration = "DOTNET_GCgen1size";
    private const string MiddleGenerationBytes = "0x2000000";

    // How often the collector compacts, from 0 to 9. Entities that wake and sleep leave gaps in the oldest generation.
    private const string Compaction = "DOTNET_GCConserveMemory";
    private const string CompactionLevel = "6";

    // Number of arenas of the C library's allocator. Each arena keeps its memory, and the Kafka client allocates on many threads.
    private const string Arenas = "MALLOC_ARENA_MAX";

    /// <summary>Restarts the process if necessary. Returns when it is not necessary, or not possible.</summary>
    public static void Apply()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(YoungestGeneration) is not null)
            return;
        try
        {
            var environment = new List<string> { $"{YoungestGeneration}={YoungestGenerationBytes}" };
            if (Environment.GetEnvironmentVariable(MiddleGeneration) is null)
                environment.Add($"{MiddleGeneration}={MiddleGenerationBytes}");
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
