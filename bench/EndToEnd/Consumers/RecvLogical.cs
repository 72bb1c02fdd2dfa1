using System.Globalization;
using CdcOrleans.Bench.EndToEnd.Servers;
using CdcOrleans.Bench.EndToEnd.Workloads;

namespace CdcOrleans.Bench.EndToEnd.Consumers;

/// <summary>PostgreSQL's own client, which throws away what it receives: the ceiling that the walsender sets.</summary>
internal sealed class RecvLogical(DatabaseServer server, string folder) : IConsumer
{
    private const string Slot = "bench_recvlogical";

    private IReadOnlyList<int> _pids = [];
    private long _transactionsBefore;

    public string Name => "pg_recvlogical";

    public string Version { get; private set; } = "";

    public IReadOnlyList<int> Pids => _pids;

    public async Task Prepare(CancellationToken cancel)
    {
        Version = "PostgreSQL " + await server.Scalar("SHOW server_version", cancel);
        await server.Execute($"CREATE PUBLICATION {Slot} FOR ALL TABLES", cancel);
        await server.Scalar("SELECT 1 FROM pg_create_logical_replication_slot($1, 'pgoutput')", cancel, Slot);
    }

    /// <summary>Moves the slot to the log's end, so that a drain's time, which begins with the process, holds no log of others.</summary>
    public async Task Pause(CancellationToken cancel) =>
        await server.Scalar("SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())::text", cancel, Slot);

    public async Task<DrainTimes> Drain(Goal goal, CancellationToken cancel)
    {
        _transactionsBefore = await DecodedTransactions(cancel);
        var first = DateTime.UtcNow;
        await using var process = ChildProcess.Start(Name, Path.Combine(folder, Name + ".log"),
        [
            server.Program("pg_recvlogical"), "-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres",
            "-d", DatabaseServer.SourceDatabase, "--slot", Slot, "--start", "--endpos", goal.EndLsn, "--no-loop", "--fsync-interval", "0",
            "-o", "proto_version=1", "-o", "publication_names=" + Slot, "-f", "/dev/null",
        ]);
        _pids = [process.Pid];
        var code = await process.WaitForExit(cancel);
        var last = DateTime.UtcNow;
        _pids = [];
        return code == 0 ? new DrainTimes(first, last) : throw process.Failure($"ended with code {code}");
    }

    public Task Forget(CancellationToken cancel) => Task.CompletedTask;

    public async Task<long> Verify(Goal goal, CancellationToken cancel)
    {
        // It counts nothing itself; the server tells how many transactions it decoded for the slot, a moment after the walsender ended.
        for (var deadline = DateTime.UtcNow.AddSeconds(15); ;)
        {
            var decoded = await DecodedTransactions(cancel) - _transactionsBefore;
            if (decoded >= goal.Transactions)
                return 0;
            if (DateTime.UtcNow > deadline)
                throw new BenchmarkException($"{Name}, {goal.Table}: the server decoded {decoded:N0} of {goal.Transactions:N0} transactions.");
            await Task.Delay(100, cancel);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task<long> DecodedTransactions(CancellationToken cancel) => long.Parse(
        await server.Scalar("SELECT coalesce(sum(total_txns), 0)::bigint::text FROM pg_stat_replication_slots WHERE slot_name = $1", cancel, Slot) ?? "0",
        CultureInfo.InvariantCulture);
}
