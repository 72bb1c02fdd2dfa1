using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Changes from the source to the history of their entities, through the grain that the API asks.</summary>
public sealed class JournalTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL";

    [Theory]
    [InlineData(EntityActivation.WhenNeeded)]
    [InlineData(EntityActivation.Always)]
    public async Task The_history_has_every_change_with_its_row_and_its_differences(EntityActivation activation)
    {
        await using var cluster = await Start(activation: activation);
        var body = new string('x', 10_000);
        await PostgresServer.Execute(cluster.Source, $"INSERT INTO doc VALUES (1, 10, '{body}')");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 11");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 12, body = NULL");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET id = 2");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 13");
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc");
        var old = await History(cluster, "1", 4);
        var now = await History(cluster, "2", 3);

        Assert.Equal([ChangeOperation.Delete, ChangeOperation.Update, ChangeOperation.Update, ChangeOperation.Create], old.Select(c => c.Operation));
        Assert.Equal($$"""{"id":1,"n":10,"body":"{{body}}"}""", old[3].Row);
        Assert.Empty(old[3].Differences!);

        // The log does not have the large value again.
        Assert.Equal($$"""{"id":1,"n":11,"body":"{{body}}"}""", old[2].Row);
        Assert.Equal([new ColumnDifference("n", "10", "11")], old[2].Differences!);
        Assert.Equal([new ColumnDifference("n", "11", "12"), new ColumnDifference("body", $"\"{body}\"", "null")], old[1].Differences!);
        Assert.Equal((null, "2"), (old[0].Row, old[0].OtherKey));
        Assert.Equal([new ColumnDifference("id", "1", null), new ColumnDifference("n", "12", null), new ColumnDifference("body", "null", null)], old[0].Differences!);
        Assert.Equal(("1", """{"id":2,"n":12,"body":null}"""), (now[2].OtherKey, now[2].Row));
        Assert.Equal((ChangeOperation.Delete, (string?)null), (now[0].Operation, now[0].OtherKey));
        Assert.All(old.Concat(now), c => Assert.InRange(c.CommittedAt, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(5)));
        Assert.All(old.Concat(now), c => Assert.True(c.Xid > 0 && c.SchemaVersion > 0));

        // The versions are those of the events.
        await cluster.Arrived(7);
        Assert.Equal(
            cluster.Delivered.Select(d => d.Event.Version).Distinct().Order(), old.Concat(now).Select(c => c.Version).Order());
    }

    [Fact]
    public async Task Changes_of_many_entities_of_one_transaction_are_all_there_once()
    {
        await using var cluster = await Start(silos: 2);
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, 0 FROM generate_series(1, 5000) i");
        await PostgresServer.Execute(cluster.Source, "BEGIN; UPDATE doc SET n = 1; UPDATE doc SET n = 2; UPDATE doc SET n = 3; COMMIT");
        var all = await Journal(cluster, 20_000);
        Assert.Equal(20_000, all.Select(e => e.Position.Version).Distinct().Count());
        Assert.Equal(all.Select(e => e.Position).Order(), all.Select(e => e.Position));
        Assert.All(all.GroupBy(e => e.Row.Change.Entity), g => Assert.Equal(4, g.Count()));
        Assert.All(all.Where(e => e.Row.Change.Operation == ChangeOperation.Update), e => Assert.True(e.Row.Before.IsPresent));
    }

    [Theory]
    [InlineData(EntityMode.Version)]
    [InlineData(EntityMode.Off)]
    public async Task Without_stored_rows_the_journal_has_what_the_log_has(EntityMode mode)
    {
        await using var cluster = await Start(mode);
        await PostgresServer.Execute(cluster.Source, $"INSERT INTO doc VALUES (1, 10, '{new string('x', 10_000)}')");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 11");
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc");
        var changes = await History(cluster, "1", 3);
        Assert.Equal([ChangeOperation.Delete, ChangeOperation.Update, ChangeOperation.Create], changes.Select(c => c.Operation));
        Assert.Equal("""{"id":1,"n":11,"body":"__debezium_unavailable_value"}""", changes[1].Row);
        Assert.Null(changes[1].Differences);
        Assert.Equal([new ColumnDifference("id", "1", null)], changes[0].Differences!);
    }

    [Fact]
    public async Task A_truncation_is_in_the_history_of_entities_that_existed()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10), (2, 20)");
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc WHERE id = 2");
        await PostgresServer.Execute(cluster.Source, "TRUNCATE doc");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 11)");
        Assert.Equal([ChangeOperation.Create, ChangeOperation.Truncate, ChangeOperation.Create], (await History(cluster, "1", 3)).Select(c => c.Operation));
        Assert.Equal([ChangeOperation.Delete, ChangeOperation.Create], (await History(cluster, "2", 2)).Select(c => c.Operation));
        Assert.Single(await Journal(cluster, 5), e => e.Row.Change.Operation == ChangeOperation.Truncate);
    }

    [Fact]
    public async Task After_the_table_was_altered_the_history_shows_the_rows_of_both_shapes()
    {
        await using var cluster = await Start();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10, 'a')");
        await History(cluster, "1", 1);
        await PostgresServer.Execute(cluster.Source, "ALTER TABLE doc RENAME n TO number; ALTER TABLE doc ADD added int; UPDATE doc SET added = 5");
        var changes = await History(cluster, "1", 2);
        Assert.Equal("""{"id":1,"number":10,"body":"a","added":5}""", changes[0].Row);
        Assert.Equal([new ColumnDifference("added", null, "5")], changes[0].Differences!);
        Assert.Equal("""{"id":1,"n":10,"body":"a"}""", changes[1].Row);
    }

    [Fact]
    public async Task A_change_without_route_whose_operation_is_skipped_or_that_is_refused_is_in_the_journal_all_the_same()
    {
        await using var cluster = await Start(
            configure: s => s with { Events = s.Events with { Skip = SkippedOperations.Update } },
            pipeline: p => p with { Routes = [new RouteConfiguration { From = "shop.public.doc", To = ["collected"] }] },
            more: "; CREATE TABLE other (id int PRIMARY KEY)");
        cluster.Fails = (_, _) => DeliveryFailure.Refused("poison");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO other VALUES (1); INSERT INTO doc VALUES (1, 10)");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 11");
        Assert.Equal(2, (await History(cluster, "1", 2)).Count);
        Assert.Single(await History(cluster, "1", 1, "public.other"));
    }

    [Fact]
    public async Task Columns_that_are_not_published_are_not_in_the_journal()
    {
        await using var cluster = await Start(prepare: source => PostgresServer.Execute(source, "CREATE PUBLICATION cdc FOR TABLE doc (id, n)"));
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10, 'secret')");
        Assert.Equal("""{"id":1,"n":10}""", (await History(cluster, "1", 1))[0].Row);
        Assert.Equal("0", await cluster.Control.Scalar("SELECT count(*) FROM cdc.journal_1_1 WHERE position('secret'::bytea IN after) > 0"));
    }

    [Fact]
    public async Task A_table_without_the_option_has_no_journal()
    {
        await using var cluster = await Start(configure: s => s with { Tables = [new TableSelection { Pattern = "public.*" }] });
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        await cluster.Arrived(1);
        await InProcessCluster.Until(async () => await cluster.Control.Scalar("SELECT count(*) FROM cdc.entity_states") == "1", "the checkpoint");
        Assert.Empty(await cluster.Control.Journals.List(default));
    }

    private async Task<InProcessCluster> Start(
        EntityMode mode = EntityMode.Row, EntityActivation? activation = null, short silos = 1, Func<SourceConfiguration, SourceConfiguration>? configure = null,
        Func<string, Task>? prepare = null, Func<PipelineConfiguration, PipelineConfiguration>? pipeline = null, string more = "")
    {
        var cluster = await InProcessCluster.Start(
            control, sources.Server, silos, Schema + more,
            s =>
            {
                s = s with { Tables = [new TableSelection { Pattern = "public.*", Entities = mode, Journal = new JournalOptions { Age = TimeSpan.FromDays(7) } }] };
                return configure?.Invoke(s) ?? s;
            },
            prepare,
            p =>
            {
                if (activation is { } always)
                    p = p with { Sources = p.Sources.ToDictionary(s => s.Key, s => s.Value with { Tables = [.. s.Value.Tables.Select(t => t with { Activation = always })] }) };
                return pipeline?.Invoke(p) ?? p;
            });
        await cluster.Streaming();
        return cluster;
    }

    private static async Task<IReadOnlyList<HistoryEntry>> History(InProcessCluster cluster, string key, int changes, string table = "public.doc")
    {
        var grain = cluster.Cluster.Client.GetGrain<IJournalGrain>(IJournalGrain.Key);
        HistoryEntry[] found = [];
        await InProcessCluster.Until(
            async () => (found = (await grain.GetHistory(new HistoryQuestion(new EntityId("shop", new EntityKey(table, key)), null, 100))).Changes).Length >= changes,
            $"{changes} changes in the history");
        Assert.Equal(changes, found.Length);
        return found;
    }

    private static async Task<IReadOnlyList<JournalEntry>> Journal(InProcessCluster cluster, int changes)
    {
        IReadOnlyList<JournalEntry> found = [];
        await InProcessCluster.Until(
            async () => (found = await cluster.Control.Journals.Read("shop", "public.doc", JournalPosition.Start, JournalWindow.All, int.MaxValue, long.MaxValue, default)).Count >= changes,
            $"{changes} changes in the journal");
        Assert.Equal(changes, found.Count);
        return found;
    }
}
