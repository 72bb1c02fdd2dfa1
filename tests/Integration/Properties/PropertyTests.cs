using System.Globalization;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Grains;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Properties;

/// <summary>
/// Random schemas, values and transactions, also statements that change rows without events, while two silos follow and one of them is killed
/// half-way. At every quiet moment the stored rows are those of the tables, in PostgreSQL's own text, or they are not known where that is allowed;
/// and the rows in events are those that triggers recorded. The seed is printed, and stands in every failure.
/// </summary>
/// <remarks>
/// Without a seed it is always the same one, so that a failure is of the change under test. CDC_PROPERTY_SEED runs another, or with "any"
/// one that nobody has run; CDC_PROPERTY_SCHEMAS and CDC_PROPERTY_TRANSACTIONS (in all) make it larger. A smaller number of
/// schemas with the same seed has the same first ones.
/// </remarks>
public sealed class PropertyTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const int Writers = 4;
    private const int MostShown = 20;
    private const int QuietMoments = 5;

    // Rows that changed without an event, in tables that do not change afterwards, are noticed by looks at the catalog.
    private static readonly TimeSpan NoticePatience = TimeSpan.FromSeconds(30);

    private static readonly long Seed = Setting("SEED") ?? (IsAny ? Random.Shared.NextInt64(1, 1_000_000_000) : 330918308);

    private static bool IsAny => Environment.GetEnvironmentVariable("CDC_PROPERTY_SEED") == "any";

    [Fact]
    public async Task Entities_hold_what_the_tables_have()
    {
        var schemas = Enumerable.Range(0, (int)(Setting("SCHEMAS") ?? 20)).Select(number => RandomSchema.Make(Seed, number)).ToList();
        var transactions = (int)(Setting("TRANSACTIONS") ?? 1000) / schemas.Count;
        var output = TestContext.Current.TestOutputHelper!;
        output.WriteLine($"CDC_PROPERTY_SEED={Seed} CDC_PROPERTY_SCHEMAS={schemas.Count} CDC_PROPERTY_TRANSACTIONS={transactions * schemas.Count}");
        Console.WriteLine($"Seed of the random schemas: {Seed}");

        await using var cluster = await InProcessCluster.Start(
            control, sources.Server, 2, "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;" + EventTruth.Ddl,
            s => s with { Tables = [new TableSelection { Pattern = "s*" }], HeartbeatInterval = TimeSpan.FromMilliseconds(500) },
            async source =>
            {
                foreach (var schema in schemas)
                    await Created(source, schema);
            });
        await cluster.Streaming();

        var works = schemas.Select(schema => new RandomWork(Seed, schema, cluster.Source)).ToList();
        var differences = new List<string>();
        var (tables, rows, unknown) = (0, 0, 0);
        for (var moment = 0; moment < QuietMoments && differences.Count == 0; moment++)
        {
            // A silo is killed in the middle of the work.
            var (from, to) = (transactions * moment / QuietMoments, transactions * (moment + 1) / QuietMoments);
            var middle = moment == QuietMoments / 2 ? (from + to) / 2 : to;
            await Write(works, middle - from, from);
            if (middle < to)
                await cluster.Cluster.KillSiloAsync(cluster.Cluster.Silos[1]);
            await Write(works, to - middle, middle);
            await Drained(cluster);
            (tables, rows, unknown) = await Compare(cluster, schemas, works.Exists(w => w.HasSilencedAll), differences);
        }

        differences.AddRange(Disorder(cluster));
        await using (var source = new NpgsqlConnection(cluster.Source))
        {
            await source.OpenAsync(TestContext.Current.CancellationToken);
            var (wrong, events) = await EventTruth.Check(
                source, schemas.SelectMany(s => s.Tables).ToDictionary(t => $"{t.Schema}.{t.Name}"), cluster.Delivered, cluster.Control.Schemas, TestContext.Current.CancellationToken);
            differences.AddRange(wrong);
            output.WriteLine($"{events} events were compared with the changes that triggers recorded.");
            Assert.True(events > 0, $"Seed {Seed}: no event was compared.");
        }

        var (accepted, refused) = (works.Sum(w => w.Accepted), works.Sum(w => w.Refused.Values.Sum()));
        output.WriteLine($"{tables} tables with {rows} rows after {accepted} statements; {unknown} rows and large values of tables with new files, retyped or renamed columns are not known; the server refused {refused}: {Codes(works)}; {cluster.Delivered.Count} events.");
        Assert.True(
            differences.Count == 0,
            $"Seed {Seed}: {differences.Count} differences.\n{string.Join('\n', differences.Take(MostShown))}\n{string.Join('\n', schemas.Where(s => differences.Exists(d => d.StartsWith(s.Name + ".", StringComparison.Ordinal))).Select(s => $"{s.Ddl}\n{string.Join('\n', works[s.Number].Altered)}"))}");
        Assert.True(refused < accepted, $"Seed {Seed}: the server refused {refused} statements and took {accepted}: too few to mean anything. {Codes(works)}");
        Assert.True(unknown * 10 < rows * 9 || works.Exists(w => w.HasSilencedAll), $"Seed {Seed}: {unknown} of {rows} rows and large values are not known: too many to mean anything.");
        Assert.True(rows > tables, $"Seed {Seed}: {rows} rows in {tables} tables are too few to mean anything.");
    }

    [Fact]
    public void A_difference_is_found()
    {
        var schema = RandomSchema.Make(1, 0);
        var table = schema.Tables[0];
        Dictionary<string, string?> Row(string key, string? value) =>
            table.Columns.ToDictionary(c => c.Name, c => table.Key.Contains(c.Name) ? key : value);
        List<Dictionary<string, string?>> rows = [Row("1", "a"), Row("2", "b")];
        Assert.Empty(StoredRows.Compare(table, rows, [Row("2", "b"), Row("1", "a")]));
        Assert.Single(StoredRows.Compare(table, rows, [Row("1", "a")]));
        Assert.Single(StoredRows.Compare(table, rows, [.. rows, Row("3", "c")]));
        Assert.Equal(table.Columns.Count - table.Key.Count, StoredRows.Compare(table, rows, [Row("1", "a"), Row("2", null)]).Count);
        Assert.Equal(table.Columns.Count - table.Key.Count, StoredRows.Compare(table, rows, [Row("1", "a"), Row("2", StoredRows.NotKnown)]).Count);
    }

    private static async Task Created(string source, RandomSchema schema)
    {
        try
        {
            await PostgresServer.Execute(source, schema.Ddl);
        }
        catch (PostgresException refused)
        {
            throw new InvalidOperationException($"Seed {Seed}, schema {schema.Number}: {refused.MessageText}: {schema.Ddl}", refused);
        }
    }

    // The stored rows are those of the tables now, or they are not known where that is allowed.
    private static async Task<(int Tables, int Rows, int Unknown)> Compare(
        InProcessCluster cluster, List<RandomSchema> schemas, bool areAllSilent, List<string> differences)
    {
        await using var store = NpgsqlDataSource.Create(cluster.Control.Connection);
        await using var connection = new NpgsqlConnection(cluster.Source);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        for (var deadline = DateTime.UtcNow + NoticePatience; ; await Task.Delay(250, TestContext.Current.CancellationToken))
        {
            var found = new List<string>();
            var (tables, rows, unknown) = (0, 0, 0);
            foreach (var table in schemas.SelectMany(s => s.Tables))
            {
                table.IsSilent |= areAllSilent;
                var have = await StoredRows.OfTable(connection, table);
                var stored = await StoredRows.OfEntities(store, cluster.Control.Schemas, "shop", table, TestContext.Current.CancellationToken);
                found.AddRange(StoredRows.Compare(table, have, stored, out var unknowable));
                (tables, rows, unknown) = (tables + 1, rows + have.Count, unknown + unknowable);
            }

            if (found.Count > 0 && DateTime.UtcNow < deadline)
                continue;
            differences.AddRange(found);
            return (tables, rows, unknown);
        }
    }

    private static Task Write(List<RandomWork> works, int transactions, int from) => Parallel.ForEachAsync(
        works, new ParallelOptions { MaxDegreeOfParallelism = Writers, CancellationToken = TestContext.Current.CancellationToken },
        async (work, cancellation) => await work.Run(from, transactions, cancellation));

    private static async Task Drained(InProcessCluster cluster)
    {
        var end = Lsn.Parse((await PostgresServer.Scalar(cluster.Source, "SELECT pg_current_wal_insert_lsn()::text"))!);
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        for (var deadline = DateTime.UtcNow.AddMinutes(5); ; await Task.Delay(100, TestContext.Current.CancellationToken))
        {
            var status = await reader.GetStatus();
            if (status.ConfirmedLsn >= end)
                return;
            Assert.True(DateTime.UtcNow < deadline, $"Seed {Seed}: {status.State} at {status.ConfirmedLsn} of {end}: {status.Detail}");
        }
    }

    // Per entity versions rise; only what was delivered and not yet durable when a silo died may come again.
    private static IEnumerable<string> Disorder(InProcessCluster cluster)
    {
        foreach (var entity in cluster.Delivered.Where(d => d.Event.Value is not null).GroupBy(d => d.Event.Entity))
        {
            var versions = entity.Select(d => d.Event.Version).Distinct().ToList();
            if (!versions.SequenceEqual(versions.Order()))
                yield return $"{entity.Key}: its events are out of order";
        }
    }

    private static string Codes(IEnumerable<RandomWork> works) => string.Join(
        ", ", works.SelectMany(w => w.Refused).GroupBy(r => r.Key).OrderByDescending(g => g.Sum(r => r.Value)).Select(g => $"{g.Key} {g.Sum(r => r.Value)}"));

    private static long? Setting(string name) =>
        Environment.GetEnvironmentVariable($"CDC_PROPERTY_{name}") is { Length: > 0 } text and not "any" ? long.Parse(text, CultureInfo.InvariantCulture) : null;
}
