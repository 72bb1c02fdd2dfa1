using System.Diagnostics;

namespace CdcOrleans.Testing;

/// <summary>
/// Scripts that start real servers for tests, where there are any: <c>bin</c> in the folder CDC_TEST_SERVERS, or in a folder
/// <c>shared/servers</c> beside or above the tests.
/// </summary>
public static class TestServers
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>The path of a script; null where there is none.</summary>
    public static string? Find(string name)
    {
        if (Environment.GetEnvironmentVariable("CDC_TEST_SERVERS") is { Length: > 0 } folder)
        {
            var named = Path.Combine(folder, "bin", name);
            return File.Exists(named) ? named : throw new InvalidOperationException($"CDC_TEST_SERVERS names '{folder}', which has no bin/{name}.");
        }

        for (var above = new DirectoryInfo(AppContext.BaseDirectory); above is not null; above = above.Parent)
        {
            var script = Path.Combine(above.FullName, "shared", "servers", "bin", name);
            if (File.Exists(script))
                return script;
        }

        return null;
    }

    /// <summary>Runs a script and returns the first line that it prints.</summary>
    public static async Task<string> Run(string script, params string[] arguments)
    {
        // The server inherits its streams from the script: only the first line of the output is read, and errors go nowhere.
        var start = new ProcessStartInfo("/bin/sh")
        {
            WorkingDirectory = "/",
            RedirectStandardOutput = true,
            ArgumentList = { "-c", "exec \"$@\" 2>/dev/null </dev/null", "sh", script },
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{script} did not start.");
        var line = await process.StandardOutput.ReadLineAsync().WaitAsync(Patience);
        await process.WaitForExitAsync().WaitAsync(Patience);
        return process.ExitCode == 0
            ? line ?? ""
            : throw new InvalidOperationException($"{Path.GetFileName(script)} {string.Join(' ', arguments)} ended with code {process.ExitCode}.");
    }
}
