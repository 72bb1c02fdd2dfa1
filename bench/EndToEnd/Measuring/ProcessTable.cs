using System.Globalization;

namespace CdcOrleans.Bench.EndToEnd.Measuring;

/// <summary>What the kernel knows of a process, from /proc.</summary>
internal static class ProcessTable
{
    // USER_HZ is 100 on every Linux that .NET runs on.
    private const double MicrosecondsPerTick = 10_000;

    /// <summary>User and system time of a process in microseconds, without its children; null when it is gone.</summary>
    public static double? CpuMicroseconds(int pid)
    {
        if (Read($"/proc/{pid}/stat") is not { } text)
            return null;
        // The second field is a name in parentheses that may hold blanks; utime and stime are fields 14 and 15.
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) * MicrosecondsPerTick;
    }

    /// <summary>Resident memory in bytes; 0 when the process is gone.</summary>
    public static long ResidentBytes(int pid)
    {
        var line = Read($"/proc/{pid}/status")?.Split('\n').FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(6).Trim(" \tkB"), CultureInfo.InvariantCulture) * 1024;
    }

    public static IEnumerable<int> Children(int pid) =>
        (Read($"/proc/{pid}/task/{pid}/children") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Select(child => int.Parse(child, CultureInfo.InvariantCulture));

    /// <summary>The title that a PostgreSQL process gives itself.</summary>
    public static string Title(int pid) => Read($"/proc/{pid}/cmdline") ?? "";

    private static string? Read(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
