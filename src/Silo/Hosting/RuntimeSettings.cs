using System.Collections;
using System.Runtime.InteropServices;
using System.Text;

namespace CdcOrleans.Silo.Hosting;

/// <summary>
/// Settings of the .NET runtime and the C library that are read from the environment only, before any of our code runs. Where the
/// environment does not have them, the process starts itself anew with them: the same process id, arguments and streams.
/// </summary>
internal static class RuntimeSettings
{
    // The youngest generation: by default as large as the processor's cache, which virtual machines often report as tiny. Then what is
    // on its way to a sink outlives it and has to be collected from the oldest. Measured: a third of the CPU per change.
    private const string YoungestGeneration = "DOTNET_GCgen0size";
    private const string YoungestGenerationBytes = "0x1800000";

    // The generation after it: with room for a second's changes, what is on its way until the next checkpoint dies there, too.
    private const string MiddleGeneration = "DOTNET_GCgen1size";
    private const string MiddleGenerationBytes = "0x2000000";

    // How readily the collector moves what lives together, from 0 to 9: entities come and go, and leave holes in the oldest generation.
    private const string Compaction = "DOTNET_GCConserveMemory";
    private const string CompactionLevel = "6";

    // Arenas of the C library's allocator: each keeps what it once had, and the Kafka client allocates on many threads.
    private const string Arenas = "MALLOC_ARENA_MAX";

    /// <summary>Starts the process anew where that is needed; returns when it is not, or cannot be done.</summary>
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

            // Comes back only when it fails, and then the process goes on as it is: slower, not wrong.
            _ = Execute(program, [.. arguments, null], [.. environment, null]);
        }
        catch (Exception impossible) when (impossible is IOException or UnauthorizedAccessException or EntryPointNotFoundException or DllNotFoundException)
        {
            // No /proc, or no such C library: the same.
        }
    }

    // This runtime's socket for tools such as dotnet-trace bears the process id and its start time, which both stay: the next runtime
    // would find the name taken and be out of the tools' reach.
    private static void ReleaseDiagnosticsPort()
    {
        foreach (var socket in Directory.EnumerateFiles(Path.GetTempPath(), $"dotnet-diagnostic-{Environment.ProcessId}-*-socket"))
            File.Delete(socket);
    }

    [DllImport("libc", EntryPoint = "execve", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Execute(string program, string?[] arguments, string?[] environment);
}
