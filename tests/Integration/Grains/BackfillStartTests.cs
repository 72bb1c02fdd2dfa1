using System.Globalization;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Backfills that are started through their grain, on a real source: what it says of its tables, and what the audit log says. None of them runs.</summary>
public sealed class BackfillStartTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = """
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, note text);
        INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i;
        CREATE TABLE pairs (a int, b text, PRIMARY KEY (b, a));
        CREATE TABLE "Odd name" (id int PRIMARY KEY);
        CREATE TABLE log (id int PRIMARY KEY);
        CREATE TABLE filtered (id int PRIMARY KEY);
        CREATE TABLE chosen (id int PRIMARY KEY);
        CREATE TABLE keyless (n int);
        ALTER TABLE keyless REPLICA IDENTITY FULL;
        ANALYZE
        """;

    private readonly MemoryBackfills _store = new() { IsIdle = true };

    [Fact]
    public async Task The_source_says_what_can_be_read()
    {
        await using var cluster = await Start(BackfillOptions.Never);
        var grain = cluster.Cluster.Client.GetGrain<IBackfillsGrain>(IBackfillsGrain.Key);
        var started = await grain.Start(new BackfillOrder("shop", BackfillKind.Rows, ["public.items", "public.Odd*"]) { Where = "id <= 100", Rate = 50 }, "me");
        Assert.Null(started.Detail);
        Assert.Equal(["public.Odd name", "public.items"], started.Backfill!.Tables.Select(t => t.Table));
        Assert.InRange(started.Backfill.Tables.Single(t => t.Table == "public.items").RowsTotal, 50, 200);
        Assert.Equal(
            await PostgresServer.Scalar(cluster.Source, "SELECT 'items'::regclass::oid::text"),
            _store.All[0].Tables.Single(t => t.Table == "public.items").Relation.ToString(CultureInfo.InvariantCulture));
        Assert.Equal("running", (await grain.Get(1))!.State);

        await Refused(grain, new("shop", BackfillKind.Rows, ["public.items"]), BackfillRefusal.Conflict, "Backfill 1 of shop.public.items is running.");
        await Refused(grain, new("shop", BackfillKind.Rows, ["public.Items"]), BackfillRefusal.UnknownTable, "table public.Items does not exist");
        await Refused(grain, new("shop", BackfillKind.Rows, ["public.keyless"]), BackfillRefusal.NotPossible, "shop.public.keyless has no key");
        await Refused(grain, new("shop", BackfillKind.Rows, ["public.log"]), BackfillRefusal.NotPossible, "'entities: off'");
        foreach (var (where, why) in new[]
        {
            ("nope > 1", "column \"nope\" does not exist"), ("id", "must be type boolean"), ("true); DROP TABLE items; --", "without an opening one"), ("id > random()", "volatile"), ("id IN (SELECT n FROM items)", "the word SELECT"),
        })
            await Refused(grain, new("shop", BackfillKind.Rows, ["public.items"]) { Where = where }, BackfillRefusal.NotPossible, why);
        await Refused(grain, new("shop", BackfillKind.Rows, ["public.pairs"]) { Keys = ["1"] }, BackfillRefusal.NotPossible, "2 value(s), separated by commas: b, a");

        var (id, paused) = (started.Backfill.Id, await grain.Decide(1, BackfillVerb.Pause, "me"));
        Assert.Equal(("paused", null), (paused!.Backfill.State, paused.Refusal));
        Assert.Equal("Backfill 1 is paused. To pause it, it must be running.", (await grain.Decide(id, BackfillVerb.Pause, "me"))!.Refusal);
        Assert.Equal("running", (await grain.Decide(id, BackfillVerb.Resume, "me"))!.Backfill.State);
        Assert.Equal("cancelled", (await grain.Decide(id, BackfillVerb.Cancel, "me"))!.Backfill.State);
        Assert.Null(await grain.Decide(99, BackfillVerb.Cancel, "me"));
        Assert.Equal([1L], (await grain.List(0, 10)).Select(b => b.Id));

        List<AuditEntry> audit = [.. (await cluster.Control.Audit.List(0, 100, default)).Reverse()];
        Assert.Equal(
            ["backfill 1", .. Enumerable.Repeat("refused", 10), "paused", "refused: paused", "running", "cancelled"], audit.Select(a => a.Result));
        Assert.Equal(("me", "start backfill", "pause backfill"), (audit[0].Who, audit[0].Operation, audit[11].Operation));
        var arguments = JsonElement.Parse(audit[0].Arguments);
        Assert.Equal(("rows", true, 50), (arguments.GetProperty("kind").GetString(), arguments.GetProperty("filtered").GetBoolean(), arguments.GetProperty("rate").GetInt32()));
        Assert.DoesNotContain(audit, a => a.Arguments.Contains("id <=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_configuration_starts_the_first_one()
    {
        await using var cluster = await Start(new BackfillOptions { Mode = BackfillMode.Initial, Rate = 3 });
        var grain = cluster.Cluster.Client.GetGrain<IBackfillsGrain>(IBackfillsGrain.Key);
        await grain.StartInitial("shop", ["public.items", "public.log", "public.keyless", "public.filtered", "public.chosen", "public.Odd name", "public.pairs"]);
        await grain.StartInitial("shop", ["public.items"]);
        var backfill = Assert.Single(_store.All);
        Assert.Equal((BackfillKind.Initial, 3, "configuration"), (backfill.Kind, backfill.Rate, backfill.Who));
        Assert.Equal(["public.Odd name", "public.items", "public.pairs"], backfill.Tables.Select(t => t.Table));
        Assert.Equal(1000, backfill.Tables[1].RowsTotal);
        var entry = Assert.Single(await cluster.Control.Audit.List(0, 100, default));
        Assert.Equal(("configuration", "start backfill", "backfill 1"), (entry.Who, entry.Operation, entry.Result));
    }

    private async Task<InProcessCluster> Start(BackfillOptions option)
    {
        var cluster = await InProcessCluster.Start(
            control, sources.Server, 1, Schema,
            s => s with
            {
                Tables =
                [
                    new TableSelection { Pattern = "public.log", Entities = EntityMode.Off },
                    new TableSelection { Pattern = "public.filtered", Backfill = option with { Where = "nope > 1" } },
                    new TableSelection { Pattern = "public.chosen", Backfill = option with { Columns = ["nope"] } },
                    .. s.Tables,
                ],
                Backfill = option,
            },
            services: s => s.AddSingleton<IBackfillStore>(_store));
        await cluster.Streaming();
        return cluster;
    }

    private static async Task Refused(IBackfillsGrain grain, BackfillOrder order, BackfillRefusal refusal, string expected)
    {
        var started = await grain.Start(order, "me");
        Assert.Equal((null, refusal), (started.Backfill, started.Refusal));
        Assert.Contains(expected, started.Detail, StringComparison.Ordinal);
    }
}
