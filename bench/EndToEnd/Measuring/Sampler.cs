namespace CdcOrleans.Bench.EndToEnd.Measuring;

/// <summary>Whose CPU time it is.</summary>
internal enum Role
{
    Consumer,
    Walsender,
    OtherPostgres,
    Broker,
    Harness,
}

/// <summary>CPU time by role since the sampler started, in microseconds, and the consumer's resident memory at one moment.</summary>
internal sealed record Sample(DateTime Time, double[] Cpu, long ResidentBytes);

/// <summary>CPU and memory between two moments.</summary>
internal sealed record Usage(IReadOnlyDictionary<Role, double> Cpu, long PeakBytes, long MeanBytes);

/// <summary>Samples CPU time and memory of all processes that take part, from /proc, while a consumer has its turn.</summary>
internal sealed class Sampler : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    private readonly Func<IReadOnlyList<int>> _consumer;
    private readonly int _postmaster;
    private readonly int _broker;
    private readonly Dictionary<int, (Role Role, double First, double Last)> _seen = [];
    private readonly Dictionary<int, (Role Role, int Looks)> _backends = [];
    private readonly List<Sample> _samples = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public Sampler(Func<IReadOnlyList<int>> consumer, int postmaster, int broker)
    {
        _consumer = consumer;
        _postmaster = postmaster;
        _broker = broker;
        Take(first: true);
        _loop = Task.Run(Run);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    /// <summary>
    /// Usage from the last sample before <paramref name="from"/> to the newest one; memory until <paramref name="to"/> only. A walsender counts
    /// from its birth: it decodes ahead, into the buffers of the connection, before the first change is delivered.
    /// </summary>
    public Usage Between(DateTime from, DateTime to)
    {
        Sample[] samples;
        lock (_samples)
            samples = [.. _samples];
        var start = samples.LastOrDefault(s => s.Time <= from) ?? samples[0];
        var end = samples[^1];
        var cpu = Enum.GetValues<Role>().ToDictionary(role => role, role => end.Cpu[(int)role] - (role == Role.Walsender ? 0 : start.Cpu[(int)role]));
        var memory = samples.Where(s => s.Time >= from && s.Time <= to).Select(s => s.ResidentBytes).DefaultIfEmpty(end.ResidentBytes).ToArray();
        return new Usage(cpu, memory.Max(), (long)memory.Average());
    }

    private async Task Run()
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
                Take(first: false);
        }
        catch (OperationCanceledException)
        {
            Take(first: false);
        }
    }

    private void Take(bool first)
    {
        var consumers = _consumer();
        foreach (var pid in consumers)
            See(pid, Role.Consumer, first);
        See(_broker, Role.Broker, first);
        See(Environment.ProcessId, Role.Harness, first);
        See(_postmaster, Role.OtherPostgres, first);
        foreach (var pid in ProcessTable.Children(_postmaster))
            See(pid, PostgresRole(pid), first);
        var cpu = new double[Enum.GetValues<Role>().Length];
        foreach (var (role, begin, last) in _seen.Values)
            cpu[(int)role] += last - begin;
        var sample = new Sample(DateTime.UtcNow, cpu, consumers.Sum(ProcessTable.ResidentBytes));
        lock (_samples)
            _samples.Add(sample);
    }

    // A backend takes the title of a walsender a moment after its birth; after ten looks it is what it is.
    private Role PostgresRole(int pid)
    {
        var (role, looks) = _backends.GetValueOrDefault(pid, (Role.OtherPostgres, 0));
        if (role == Role.OtherPostgres && looks < 10)
        {
            role = ProcessTable.Title(pid).Contains("walsender", StringComparison.Ordinal) ? Role.Walsender : Role.OtherPostgres;
            _backends[pid] = (role, looks + 1);
        }

        return role;
    }

    // A process that ends keeps what it was last seen with; one that starts later counts from its birth.
    private void See(int pid, Role role, bool first)
    {
        if (ProcessTable.CpuMicroseconds(pid) is not { } now)
            return;
        var begin = _seen.TryGetValue(pid, out var known) ? known.First : first ? now : 0;
        _seen[pid] = (role, begin, now);
    }
}
