using System.Diagnostics;
using System.Globalization;

namespace CdcOrleans.Bench.EndToEnd.Servers;

/// <summary>A process started by the benchmark: its output goes to a file, and it ends with the benchmark.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _log;

    private ChildProcess(string name, Process process, string log)
    {
        Name = name;
        _process = process;
        _log = log;
    }

    public string Name { get; }

    public int Pid => _process.Id;

    public static ChildProcess Start(string name, string log, IEnumerable<string> command)
    {
        // The shell only redirects and then becomes the program, so the process id is the program's.
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = "/", ArgumentList = { "-c", "exec \"$@\" >>\"$0\" 2>&1 </dev/null", log } };
        foreach (var argument in command)
            start.ArgumentList.Add(argument);
        return new ChildProcess(name, Process.Start(start) ?? throw new InvalidOperationException($"{name} did not start."), log);
    }

    /// <summary>Runs a program to its end; anything but exit code 0 throws with the end of its output.</summary>
    public static async Task Run(string name, string log, IEnumerable<string> command, CancellationToken cancel)
    {
        await using var child = Start(name, log, command);
        if (await child.WaitForExit(cancel) is var code and not 0)
            throw child.Failure($"ended with code {code}");
    }

    public async Task<int> WaitForExit(CancellationToken cancel)
    {
        await _process.WaitForExitAsync(cancel);
        return _process.ExitCode;
    }

    public void EnsureAlive()
    {
        if (_process.HasExited)
            throw Failure($"ended by itself with code {_process.ExitCode}");
    }

    /// <summary>An error that carries the last lines of the process's output.</summary>
    public BenchmarkException Failure(string what)
    {
        var tail = File.Exists(_log) ? string.Join('\n', File.ReadLines(_log).TakeLast(15)) : "";
        return new BenchmarkException($"{Name} {what}. The end of its log ({_log}):\n{tail}");
    }

    public void Freeze() => Signal("STOP");

    public void Thaw() => Signal("CONT");

    /// <summary>SIGTERM, then SIGKILL when it is still there after the grace period.</summary>
    public async Task Stop(TimeSpan grace)
    {
        if (_process.HasExited)
            return;
        Thaw();
        Signal("TERM");
        using var deadline = new CancellationTokenSource(grace);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"{Name} did not end within {grace.TotalSeconds:0} s of SIGTERM; killing it.");
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Stop(TimeSpan.FromSeconds(15));
        _process.Dispose();
    }

    private void Signal(string signal)
    {
        if (_process.HasExited)
            return;
        using var kill = Process.Start("/bin/kill", ["-" + signal, Pid.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
