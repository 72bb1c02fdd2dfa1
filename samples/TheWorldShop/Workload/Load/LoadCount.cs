using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace CdcOrleans.Samples.TheWorldShop.Load;

/// <summary>Counts what the load has committed, and prints it: one JSON object a second and one at the end.</summary>
internal sealed class LoadCount
{
    private readonly ConcurrentDictionary<string, long> _transactions = new();
    private readonly Stopwatch _since = Stopwatch.StartNew();
    private long _changes;
    private long _committed;
    private long _rolledBack;
    private long _retried;

    public void Committed(string kind, int changes)
    {
        Interlocked.Add(ref _changes, changes);
        Interlocked.Increment(ref _committed);
        _transactions.AddOrUpdate(kind, 1, (_, n) => n + 1);
    }

    public void RolledBack() => Interlocked.Increment(ref _rolledBack);

    public void Retried() => Interlocked.Increment(ref _retried);

    public async Task PrintEverySecond(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        long last = 0;
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation))
            {
                var total = Interlocked.Read(ref _changes);
                Console.WriteLine(JsonSerializer.Serialize(new
                {
                    second = (int)_since.Elapsed.TotalSeconds,
                    changes = total - last,
                    totalChanges = total,
                    transactions = Interlocked.Read(ref _committed),
                    rolledBack = Interlocked.Read(ref _rolledBack),
                }));
                last = total;
            }
        }
        catch (OperationCanceledException)
        {
            // The load has ended.
        }
    }

    public void PrintTotal()
    {
        var seconds = _since.Elapsed.TotalSeconds;
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            total = new
            {
                seconds = Math.Round(seconds, 1),
                changes = _changes,
                changesPerSecond = Math.Round(_changes / Math.Max(seconds, 0.001), 1),
                transactions = _committed,
                rolledBack = _rolledBack,
                retried = _retried,
                kinds = _transactions.OrderBy(t => t.Key, StringComparer.Ordinal).ToDictionary(t => t.Key, t => t.Value),
            },
        }));
    }
}
