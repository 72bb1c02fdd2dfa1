using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace CdcOrleans.Testing;

/// <summary>The product as a user runs it: a process of its own that is stopped or killed by a signal.</summary>
public sealed class SiloProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly HttpClient _http;

    private SiloProcess(Process process, Uri gateway)
    {
        _process = process;
        Gateway = gateway;
        _http = new HttpClient { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(10) };
        process.OutputDataReceived += (_, line) => Append(line.Data);
        process.ErrorDataReceived += (_, line) => Append(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public Uri Gateway { get; }

    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    public int ProcessId => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Memory that the process has resident now, in bytes.</summary>
    public long WorkingSet
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>Most memory that the process ever had resident, in bytes.</summary>
    public long PeakWorkingSet
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Starts the command with arguments; returns at once.</summary>
    public static SiloProcess Launch(Uri gateway, params string[] arguments) => Launch(gateway, [], arguments);

    /// <summary>Starts the command with arguments and additional variables of the environment; returns at once.</summary>
    public static SiloProcess Launch(Uri gateway, KeyValuePair<string, string>[] environment, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add(FindProduct());
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return new SiloProcess(Process.Start(start) ?? throw new InvalidOperationException("The silo's process did not start."), gateway);
    }

    /// <summary>Waits until the gateway says that every source streams.</summary>
    public Task Ready() => Until(async () =>
    {
        using var response = await _http.GetAsync("health/ready");
        return response.StatusCode == HttpStatusCode.OK;
    }, "to become ready");

    public async Task<JsonElement> Source(string name)
    {
        using var document = JsonDocument.Parse(await _http.GetStringAsync($"api/v1/sources/{name}"));
        return document.RootElement.Clone();
    }

    public async Task<(HttpStatusCode Status, JsonElement Body)> Get(string path)
    {
        using var response = await _http.GetAsync(path);
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return (response.StatusCode, document.RootElement.Clone());
    }

    /// <summary>Polls until a condition holds; fails with the process's output when it ends or takes too long.</summary>
    public async Task Until(Func<Task<bool>> condition, string what, TimeSpan? patience = null)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                if (await condition())
                    return;
            }
            catch (Exception transient) when (transient is HttpRequestException or TaskCanceledException or JsonException)
            {
                // It is starting, stopping or frozen.
            }

            if (_process.HasExited)
                throw new InvalidOperationException($"The silo ended with code {_process.ExitCode} while it was waited for {what}.\n{Output}");
            if (watch.Elapsed > (patience ?? Patience))
                throw new TimeoutException($"The silo was waited for {what} for {watch.Elapsed.TotalSeconds:F0} s.\n{Output}");
            await Task.Delay(25);
        }
    }

    /// <summary>Sends a signal: TERM, KILL, STOP, CONT.</summary>
    public async Task Signal(string name)
    {
        using var kill = Process.Start("kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    /// <summary>Waits for the end and returns the exit code.</summary>
    public async Task<int> Ended(TimeSpan? patience = null)
    {
        using var timeout = new CancellationTokenSource(patience ?? Patience);
        await _process.WaitForExitAsync(timeout.Token);
        return _process.ExitCode;
    }

    public async Task Kill()
    {
        await Signal("KILL");
        await Ended();
    }

    public async Task<int> Stop()
    {
        await Signal("TERM");
        return await Ended();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await Signal("KILL");
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _http.Dispose();
    }

    private void Append(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
    }

    /// <summary>Finds the program.</summary>
    internal static string FindProduct()
    {
        // tests/<suite>/bin/<configuration>/net10.0/ → src/Silo/bin/<configuration>/net10.0/
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var configuration = own.Parent!.Name;
        var root = own;
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "CdcOrleans.sln")))
            root = root.Parent;
        var product = Path.Combine(root?.FullName ?? "", "src", "Silo", "bin", configuration, own.Name, "CdcOrleans.Silo.dll");
        return File.Exists(product) ? product : throw new FileNotFoundException("Build src/Silo first; the tests run it as a process.", product);
    }
}
