using System.Diagnostics;
using System.Globalization;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster.Backfills;

/// <summary>
/// Two silos read the rows of a table while it is written, and one after the other is killed again and again. In the end the sink has the
/// table, and no change is missing. <c>CDC_TEST_BACKFILL_ROWS=2000000</c> has so many rows, and 2,000 changes a second; without the variable,
/// it has fewer.
/// </summary>
public sealed class BackfillKillTests(PostgresFixture postgres)
{
    private const int Kills = 5;

    private static readonly string? Asked = Environment.GetEnvironmentVariable("CDC_TEST_BACKFILL_ROWS");

    private static readonly int Rows = int.Parse(Asked ?? "60000", CultureInfo.InvariantCulture);

    // A small table would be read before five processes could be killed and started.
    private static readonly (int ChangesPerSecond, int RowsPerSecond) Rate = Asked is null ? (1000, 6000) : (2000, 0);

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(Asked is null ? 2 : 10);

    [Fact]
    public async Task Killed_again_and_again_the_sink_becomes_the_table()
    {
        await using var control = await PostgresServer.Start();
        var load = new BackfillLoad(Rows, Rate.ChangesPerSecond);
        var source = string.Create(CultureInfo.InvariantCulture, $"backfill: {{ mode: initial, rate: {Rate.RowsPerSecond} }}");
        await using var pipeline = await Pipeline.Create(postgres.Server, load.Schema, source: source, control: control);
        string[] paths = [pipeline.Config, pipeline.PathOf("second.yaml")];
        Uri[] gateways = [pipeline.Gateway, await pipeline.Configure(paths[1], source: source)];
        var silos = new SiloProcess[2];
        using var stop = new CancellationTokenSource();
        using var watched = new CancellationTokenSource();
        var writing = Task.CompletedTask;
        try
        {
            Launch(0);
            await silos[0].Until(
                async () => await PostgresServer.Scalar(pipeline.Database, $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{pipeline.Slot}' AND confirmed_flush_lsn IS NOT NULL") == "1",
                "to create its slot");
            writing = load.Write(pipeline, stop.Token);
            var watch = Stopwatch.StartNew();
            Launch(1);
            await silos[0].Ready();
            await silos[1].Ready();
            var most = Watch(pipeline, silos, watched.Token);
            var kills = new List<string>();
            for (var kill = 0; kill < Kills; kill++)
            {
                var (dies, lives) = (kill % 2, silos[1 - (kill % 2)]);
                var due = Rows * (kill + 1L) / (Kills + 2);
                await lives.Until(async () => await Progress(pipeline) is var (state, done) && (done >= due || state == "done"), $"to read {due} rows", Patience);
                var before = await Progress(pipeline);
                await silos[dies].Kill();
                await silos[dies].DisposeAsync();
                kills.Add($"{before.Rows} after {watch.Elapsed.TotalSeconds:0.0} s");
                Assert.True(before.State == "running", $"The backfill was {before.State} before kill {kill + 1}.");
                Launch(dies);
                await silos[dies].Ready();
            }

            await silos[0].Until(async () => (await Progress(pipeline)).State != "running", "to end the backfill", Patience);
            var seconds = watch.Elapsed.TotalSeconds;
            Assert.Equal("done", (await Progress(pipeline)).State);
            await stop.CancelAsync();
            await writing;
            await pipeline.Drained(silos[0], Patience);
            await watched.CancelAsync();
            var (memory, lag) = await most;
            var codes = await Task.WhenAll(silos.Select(s => s.Stop()));
            Assert.All(codes, c => Assert.Equal(0, c));

            var account = BackfillAccount.Of(Path.Combine(pipeline.Out, "shop.public.items.ndjson"), load);
            TestContext.Current.SendDiagnosticMessage(
                $"{Rows} rows in {seconds:0.0} s, {Rows / seconds:0}/s, beside {load.Changes} changes, {load.Changes / seconds:0}/s. Killed at rows {string.Join(", ", kills)}. "
                + $"Repeated: {account.RepeatedRows} of {account.Rows} rows, {account.RepeatedChanges} of {account.Changes} changes. "
                + $"The slot's lag: {lag >> 10} KiB at most. Memory of a silo: {memory >> 20} MiB at most.");
            account.AssertComplete(load, await BackfillLoad.Table(pipeline));
            Assert.InRange(memory, 0, 1L << 30);
        }
        finally
        {
            await stop.CancelAsync();
            await watched.CancelAsync();
            await writing;
            foreach (var silo in silos.Where(s => s is not null))
                await silo.DisposeAsync();
        }

        void Launch(int i) => silos[i] = SiloProcess.Launch(gateways[i], "run", "--config", paths[i]);
    }

    private static async Task<(string State, long Rows)> Progress(Pipeline pipeline)
    {
        var answer = await PostgresServer.Scalar(
            pipeline.Control, "SELECT concat_ws(' ', b.state, t.rows_done) FROM cdc.backfills b JOIN cdc.backfill_tables t ON t.backfill_id = b.id ORDER BY b.id LIMIT 1");
        return answer?.Split(' ') is [var state, var rows] ? (state, long.Parse(rows, CultureInfo.InvariantCulture)) : ("none", 0);
    }

    private static async Task<(long Memory, long Lag)> Watch(Pipeline pipeline, SiloProcess[] silos, CancellationToken stop)
    {
        var (memory, lag) = (0L, 0L);
        while (!stop.IsCancellationRequested)
        {
            foreach (var silo in silos)
            {
                try
                {
                    memory = Math.Max(memory, silo.WorkingSet);
                }
                catch (InvalidOperationException)
                {
                    // It was killed just now.
                }
            }

            var answer = await PostgresServer.Scalar(
                pipeline.Database, $"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE slot_name = '{pipeline.Slot}'");
            lag = Math.Max(lag, long.Parse(answer!, CultureInfo.InvariantCulture));
            await Task.Delay(500, CancellationToken.None);
        }

        return (memory, lag);
    }
}
