using System.Text;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Dead letters from the sink that refused them to their redelivery: through the grain that the API asks.</summary>
public sealed class RedeliveryTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    private const string Schema = "CREATE TABLE doc (id int PRIMARY KEY, n int)";

    private static readonly LetterFilter All = new();

    [Fact]
    public async Task A_poison_event_becomes_a_letter_with_all_its_parts()
    {
        await using var cluster = await Start();
        cluster.Fails = (_, _) => DeliveryFailure.Refused("record 17 is poison");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        var letter = Assert.Single(await Letters(cluster, 1));
        Assert.Equal(
            ("shop", "collected", "public.doc", "1", "shop.public.doc", 1, "record 17 is poison"),
            (letter.Source, letter.Sink, letter.Entity.Table, letter.Entity.Key, letter.Topic, letter.Attempts, letter.Error));
        Assert.True(letter.HasEvent && letter.SchemaVersion > 0 && letter.FirstFailedAt <= letter.LastFailedAt.AddSeconds(1));
        var whole = (await Operations(cluster).GetLetter(letter.Id))!;
        Assert.Equal("{\"id\":1}", Encoding.UTF8.GetString(whole.Key!));
        Assert.Contains("\"n\":10", Encoding.UTF8.GetString(whole.Value!), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_given_up_has_its_attempts_and_its_first_time()
    {
        var policy = new DeliveryPolicy
        {
            Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(100)), GiveUpAttempts = 3,
        };
        await using var cluster = await Start(policy);
        cluster.Fails = (_, _) => DeliveryFailure.OfEvent("not now");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        var letter = Assert.Single(await Letters(cluster, 1));
        Assert.Equal(3, letter.Attempts);
        Assert.Contains("give_up.attempts", letter.Error, StringComparison.Ordinal);
        Assert.True(letter.LastFailedAt - letter.FirstFailedAt > TimeSpan.FromMilliseconds(150));
    }

    [Theory]
    [InlineData(EntityMode.Row)]
    [InlineData(EntityMode.Off)]
    public async Task An_old_version_is_sent_once_marked_and_unchanged_although_newer_ones_arrived_and_two_people_ask(EntityMode mode)
    {
        await using var cluster = await Start(mode: mode);
        cluster.Fails = (_, made) => Text(made).Contains("\"n\":10", StringComparison.Ordinal) ? DeliveryFailure.Refused("poison") : null;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        var letter = Assert.Single(await Letters(cluster, 1));
        cluster.Fails = (_, _) => null;
        await PostgresServer.Execute(cluster.Source, "DELETE FROM doc WHERE id = 1; INSERT INTO doc VALUES (1, 20)");
        await cluster.Arrived(2);

        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me")));
        Assert.Equal(1, answers.Sum(a => a.Accepted));
        await NoLetters(cluster);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 30");
        await InProcessCluster.Until(() => Task.FromResult(cluster.Delivered.Any(d => Text(d.Event).Contains("\"n\":30", StringComparison.Ordinal))), "the update");

        var again = Assert.Single(cluster.Delivered, d => d.Event.Origin == EventOrigin.Redelivery);
        Assert.Equal((letter.Version, letter.SchemaVersion), (again.Event.Version, again.Event.SchemaVersion));
        Assert.Contains("\"n\":10", Text(again.Event), StringComparison.Ordinal);
        Assert.Equal(EventOrigin.Stream, cluster.Delivered.Last().Event.Origin);
        var gone = await Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me");
        Assert.Equal([letter.Id], gone.Unknown);
        Assert.All(await Operations(cluster).ListAudit(0, 10), a => Assert.Equal(("me", "redeliver as event"), (a.Who, a.Operation)));
        Assert.Equal(5, (await Operations(cluster).ListAudit(0, 10)).Length);
    }

    [Fact]
    public async Task What_is_refused_again_stays_a_letter_with_the_new_error_and_one_more_attempt()
    {
        await using var cluster = await Start();
        cluster.Fails = (_, _) => DeliveryFailure.Refused("poison");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        var letter = Assert.Single(await Letters(cluster, 1));
        cluster.Fails = (_, _) => DeliveryFailure.Refused("still poison");
        await Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me");
        await InProcessCluster.Until(async () => (await Operations(cluster).GetLetter(letter.Id))?.Summary is { Attempts: 2, IsRedelivering: false, Error: "still poison" }, "the refusal");
        cluster.Fails = (_, _) => null;
        Assert.Equal(1, (await Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me")).Accepted);
        await NoLetters(cluster);
        Assert.Single(cluster.Delivered);
    }

    [Fact]
    public async Task As_current_sends_the_row_as_a_read_and_a_deleted_one_as_delete_and_tombstone()
    {
        await using var cluster = await Start();
        cluster.Fails = (_, _) => DeliveryFailure.Refused("poison");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10), (2, 20)");
        var letters = await Letters(cluster, 2);
        cluster.Fails = (_, _) => null;
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 11 WHERE id = 1; DELETE FROM doc WHERE id = 2");
        await cluster.Arrived(2);

        Assert.Equal(2, (await Operations(cluster).Redeliver(Ids([.. letters]), RedeliverAs.Current, "me")).Accepted);
        await NoLetters(cluster);
        var again = cluster.Delivered.Where(d => d.Event.Origin == EventOrigin.Redelivery).Select(d => d.Event).ToList();
        var read = Assert.Single(again, e => e.Entity.Key == "1");
        Assert.Contains("\"op\":\"r\"", Text(read), StringComparison.Ordinal);
        Assert.Contains("\"n\":11", Text(read), StringComparison.Ordinal);
        Assert.Equal(cluster.Delivered.First(d => d.Event.Entity.Key == "1").Event.Version, read.Version);
        var deleted = again.Where(e => e.Entity.Key == "2").ToList();
        Assert.Contains("\"op\":\"d\"", Text(deleted[0]), StringComparison.Ordinal);
        Assert.Null(deleted[1].Value);
        Assert.Equal(2, deleted.Count);
        Assert.All(deleted, d => Assert.Equal("{\"id\":2}", Encoding.UTF8.GetString(d.Key!)));
    }

    [Fact]
    public async Task Behind_parked_events_of_the_entity_a_letter_waits_for_its_turn()
    {
        var policy = new DeliveryPolicy { Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(200)) };
        await using var cluster = await Start(policy);
        cluster.Fails = (_, _) => DeliveryFailure.Refused("poison");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10)");
        var letter = Assert.Single(await Letters(cluster, 1));
        cluster.Fails = (_, _) => DeliveryFailure.OfEvent("not now");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 20");
        await InProcessCluster.Until(async () => (await Operations(cluster).ListParked(All, 0, 10)).Length == 1, "an event to be parked");
        Assert.Equal(1, (await Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me")).Accepted);
        await InProcessCluster.Until(async () => (await Operations(cluster).ListParked(All, 0, 10)) is [{ Events: 2 }], "both to be parked");
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 30");
        await InProcessCluster.Until(async () => (await Operations(cluster).ListParked(All, 0, 10)) is [{ Events: 3 }], "three to be parked");
        cluster.Fails = (_, _) => null;
        Assert.InRange(await Operations(cluster).RetryParked(new LetterFilter { Sink = "collected" }, "me"), 0, 1);
        await NoLetters(cluster);
        await cluster.Arrived(3);
        Assert.Equal(["20", "10", "30"], cluster.Delivered.Select(d => N(d.Event)));
    }

    [Fact]
    public async Task A_blocked_entity_goes_on_with_the_redelivered_event_first_or_without_it_when_it_is_discarded()
    {
        var policy = new DeliveryPolicy { Poison = PoisonPolicy.Block };
        await using var cluster = await Start(policy);
        cluster.Fails = (_, made) => N(made) == "10" ? DeliveryFailure.Refused("poison") : null;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 10), (2, 10)");
        var letters = await Letters(cluster, 2);
        await PostgresServer.Execute(cluster.Source, "UPDATE doc SET n = 20; UPDATE doc SET n = 30");
        await InProcessCluster.Until(async () => (await Operations(cluster).ListParked(All, 0, 10)).Count(p => p is { IsBlocked: true, Events: 2 }) == 2, "both to be blocked");
        cluster.Fails = (_, _) => null;
        Assert.Equal(1, (await Operations(cluster).Redeliver(Ids(letters.Single(l => l.Entity.Key == "1")), RedeliverAs.Event, "me")).Accepted);
        Assert.Equal(1, (await Operations(cluster).Discard(Ids(letters.Single(l => l.Entity.Key == "2")), "me")).Accepted);
        await NoLetters(cluster);
        await cluster.Arrived(5);
        Assert.Equal(["10", "20", "30"], cluster.Delivered.Where(d => d.Event.Entity.Key == "1").Select(d => N(d.Event)));
        Assert.Equal(["20", "30"], cluster.Delivered.Where(d => d.Event.Entity.Key == "2").Select(d => N(d.Event)));
    }

    [Fact]
    public async Task A_group_is_discarded_and_the_others_stay()
    {
        await using var cluster = await Start();
        cluster.Fails = (_, made) => DeliveryFailure.Refused(N(made) == "0" ? $"record {made.Entity.Key} is too large" : "not allowed");
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc SELECT i, i / 31 FROM generate_series(1, 40) i");
        await Letters(cluster, 40);
        var groups = await Operations(cluster).GroupLetters(All);
        Assert.Equal([30L, 10L], groups.Select(g => g.Count));
        var decision = await Operations(cluster).Discard(new LetterSelection(null, groups[0].Fingerprint), "me");
        Assert.Equal((30, 0, false), (decision.Accepted, decision.Refused.Length, decision.HasMore));
        Assert.All(await Letters(cluster, 10), l => Assert.Equal("not allowed", l.Error));
        var entry = Assert.Single(await Operations(cluster).ListAudit(0, 10));
        Assert.Equal(("discard", "30 accepted, 0 refused"), (entry.Operation, entry.Result));
        Assert.Contains(groups[0].Fingerprint, entry.Arguments, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hot_entity_gets_its_letter_between_its_events_and_none_is_lost_or_out_of_order()
    {
        await using var cluster = await Start();
        cluster.Fails = (_, made) => N(made) == "0" ? DeliveryFailure.Refused("poison") : null;
        await PostgresServer.Execute(cluster.Source, "INSERT INTO doc VALUES (1, 0)");
        var letter = Assert.Single(await Letters(cluster, 1));
        cluster.Fails = (_, _) => null;
        var load = PostgresServer.Execute(cluster.Source, string.Concat(Enumerable.Range(1, 2000).Select(i => $"BEGIN; UPDATE doc SET n = {i}; COMMIT;\n")));
        await cluster.Arrived(50);
        Assert.Equal(1, (await Operations(cluster).Redeliver(Ids(letter), RedeliverAs.Event, "me")).Accepted);
        await load;
        await NoLetters(cluster);
        await cluster.Arrived(2001);
        Assert.Equal(2001, cluster.Delivered.Count);
        var versions = cluster.Delivered.Where(d => d.Event.Version != letter.Version).Select(d => d.Event.Version).ToList();
        Assert.Equal(versions.Order(), versions);
        Assert.Single(cluster.Delivered, d => d.Event.Version == letter.Version && d.Event.Origin == EventOrigin.Redelivery);
    }

    private async Task<InProcessCluster> Start(DeliveryPolicy? policy = null, EntityMode mode = EntityMode.Row)
    {
        var cluster = await InProcessCluster.Start(
            control, sources.Server, 1, Schema, configure: s => s with { Tables = [new TableSelection { Pattern = "public.*", Entities = mode }] },
            pipeline: c => c with
            {
                Routes = [c.Routes[0] with { Delivery = new Dictionary<string, DeliveryPolicy> { ["collected"] = policy ?? DeliveryPolicy.Default } }],
            });
        await cluster.Streaming();
        return cluster;
    }

    private static IOperationsGrain Operations(InProcessCluster cluster) => cluster.Cluster.Client.GetGrain<IOperationsGrain>(IOperationsGrain.Key);

    private static async Task<LetterSummary[]> Letters(InProcessCluster cluster, int count)
    {
        await InProcessCluster.Until(async () => (await Operations(cluster).ListLetters(All, 0, 1000)).Length == count, $"{count} dead letters");
        return await Operations(cluster).ListLetters(All, 0, 1000);
    }

    private static async Task NoLetters(InProcessCluster cluster) => await Letters(cluster, 0);

    private static LetterSelection Ids(params LetterSummary[] letters) => new([.. letters.Select(l => l.Id)]);

    private static string Text(SinkEvent made) => made.Value is null ? "" : Encoding.UTF8.GetString(made.Value);

    // The value of the column n after the change.
    private static string N(SinkEvent made)
    {
        var text = Text(made);
        var start = text.IndexOf("\"after\":{", StringComparison.Ordinal);
        start = start < 0 ? -1 : text.IndexOf("\"n\":", start, StringComparison.Ordinal);
        return start < 0 ? "" : text[(start + 4)..text.IndexOf('}', start)];
    }
}
