using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Starts backfills in a cluster, waits for them, and compares what its sink has with the tables.</summary>
internal sealed class BackfillsUnderTest(InProcessCluster cluster, string database)
{
    /// <summary>Starts a backfill of some tables of the schema public.</summary>
    public async Task<long> Start(params BackfillTable[] tables)
    {
        var (backfill, isNew) = await cluster.Control.Backfills.Add(
            new StoredBackfill
            {
                Source = "shop", Kind = BackfillKind.Rows, Patterns = [.. tables.Select(t => t.Table)], Rate = 0, Who = "test",
                Tables = [.. tables.Select((t, place) => t with { Place = place })],
            },
            CancellationToken.None);
        Assert.True(isNew);
        await cluster.Cluster.Client.GetGrain<IBackfillGrain>(backfill.Id).EnsureRunning();
        return backfill.Id;
    }

    public async Task<StoredBackfill> Get(long id) => (await cluster.Control.Backfills.Get(id, CancellationToken.None))!;

    /// <summary>Waits until rows of a table are told.</summary>
    public Task SomeRows(string table) => InProcessCluster.Until(() => Task.FromResult(Rows(table).Count > 0), $"rows of {table}");

    /// <summary>Waits until a backfill says that it waits for something.</summary>
    public Task Waits(long id, string what) => InProcessCluster.Until(
        async () => (await Get(id)).Waiting is { } waiting && waiting.Contains(what, StringComparison.Ordinal), $"'{what}'");

    public async Task<StoredBackfill> Ended(long id)
    {
        await InProcessCluster.Until(async () => (await Get(id)).State != BackfillState.Running, $"backfill {id} to end");
        return await Get(id);
    }

    /// <summary>Waits until everything that was written so far is durable in every partition.</summary>
    public async Task CaughtUp()
    {
        var end = Lsn.Parse((await PostgresServer.Scalar(database, "SELECT pg_current_wal_insert_lsn()"))!);
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        await InProcessCluster.Until(
            async () =>
            {
                await reader.WriteHeartbeat();
                return await reader.GetStatus() is { State: SourceState.Streaming } status && status.ConfirmedLsn >= end;
            },
            "the stream to catch up");
    }

    /// <summary>Compares the rows that the sink has in the end with those of the table, in the columns that both have.</summary>
    public async Task SameAsTable(string table, string key = "id")
    {
        var rows = new Dictionary<string, JsonElement>();
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(CancellationToken.None);
        await using var command = new NpgsqlCommand($"SELECT {key}::text, row_to_json(r)::text FROM {table} r", connection);
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        while (await reader.ReadAsync())
            rows.Add(reader.GetString(0), JsonElement.Parse(reader.GetString(1)));
        var sink = Rows(table);
        Assert.Equal(rows.Keys.Order(), sink.Keys.Order());
        foreach (var (name, row) in sink)
        {
            foreach (var column in row.EnumerateObject())
            {
                if (rows[name].TryGetProperty(column.Name, out var value))
                    Assert.Equal($"{table} {name} {column.Name} {value}", $"{table} {name} {column.Name} {column.Value}");
            }
        }
    }

    /// <summary>The rows of a table as the sink has them.</summary>
    public IReadOnlyDictionary<string, JsonElement> Rows(string table)
    {
        var rows = new Dictionary<string, JsonElement>();
        foreach (var made in cluster.Delivered.Select(d => d.Event).Where(e => e.Entity.Table == $"public.{table}" && e.Value is not null))
        {
            var value = JsonElement.Parse(Encoding.UTF8.GetString(made.Value!));
            if (value.GetProperty("op").GetString() == "t")
                rows.Clear();
            else if (value.GetProperty("after") is { ValueKind: not JsonValueKind.Null } after)
                rows[made.Entity.Key] = after;
            else
                rows.Remove(made.Entity.Key);
        }

        return rows;
    }
}
