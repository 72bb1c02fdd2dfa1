using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The endpoints for replays.</summary>
[Collection("gateway")]
public class ReplayEndpointTests
{
    private const string Replays = "/api/v1/replays";

    [Fact]
    public async Task A_replay_is_accepted_with_its_address()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        using var response = await Send(gateway, Replays, """{"source":"shop","sink":"events","tables":["public.orders"],"keys":["1","2","1"],"rate":5}""");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal("/api/v1/replays/7", response.Headers.Location!.OriginalString);
        var replay = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(
            (7, "running", 100, 40, 30, 8, 2, 100.0),
            (replay.GetProperty("id").GetInt32(), replay.GetProperty("state").GetString(), replay.GetProperty("rowsTotal").GetInt32(), replay.GetProperty("rowsDone").GetInt32(),
                replay.GetProperty("sent").GetInt32(), replay.GetProperty("parked").GetInt32(), replay.GetProperty("deadLetters").GetInt32(), replay.GetProperty("rowsPerSecond").GetDouble()));
        Assert.Equal("public.b", replay.GetProperty("tables")[1].GetProperty("table").GetString());
        var (order, who) = Assert.IsType<(ReplayOrder, string)>(Assert.Single(cluster.Replays.Asked));
        Assert.Equal(("shop", "events", 5, "127.0.0.1"), (order.Source, order.Sink, order.Rate, who));
        Assert.Equal(["1", "2"], order.Keys!);

        using var byDefault = await Send(gateway, Replays, """{"source":"shop","sink":"events","tables":["public.*"],"from":"held"}""");
        order = Assert.IsType<(ReplayOrder Order, string)>(cluster.Replays.Asked[1]).Order;
        Assert.Equal((ReplayOrder.DefaultRate, null), (order.Rate, order.Journal));
    }

    [Fact]
    public async Task A_replay_from_the_journal_has_a_window_of_times_or_positions()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        using var response = await Send(
            gateway, Replays, """{"source":"shop","sink":"events","tables":["public.*"],"from":"journal","since":"2026-01-31T12:00:00+01:00","until":"16/B374D848"}""");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        using var all = await Send(gateway, Replays, """{"source":"shop","sink":"events","tables":["public.*"],"from":"journal"}""");
        List<JournalWindow> windows = [.. cluster.Replays.Asked.Select(a => Assert.IsType<(ReplayOrder Order, string)>(a).Order.Journal!)];
        Assert.Equal(new JournalWindow { SinceTime = new DateTimeOffset(2026, 1, 31, 11, 0, 0, TimeSpan.Zero), UntilLsn = Lsn.Parse("16/B374D848") }, windows[0]);
        Assert.Equal(JournalWindow.All, windows[1]);

        cluster.Replays.Views[3] = FakeReplays.Replay(3) with { From = "journal", Journal = windows[0] };
        var (_, replay) = await gateway.Get($"{Replays}/3");
        Assert.Equal(
            ("journal", "2026-01-31T11:00:00.0000000Z", "16/B374D848"),
            (replay.GetProperty("from").GetString(), replay.GetProperty("since").GetString(), replay.GetProperty("until").GetString()));
    }

    [Theory]
    [InlineData("{}", 400, "bad-body", "'source'")]
    [InlineData("""{"source":"shop"}""", 400, "bad-body", "'sink'")]
    [InlineData("""{"source":"nope","sink":"events","tables":["a.b"]}""", 404, "unknown-source", "'nope'")]
    [InlineData("""{"source":"shop","sink":"nope","tables":["a.b"]}""", 404, "unknown-sink", "'nope'")]
    [InlineData("""{"source":"shop","sink":"events"}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","sink":"events","tables":[]}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","sink":"events","tables":[""]}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a\u0000"]}""", 400, "bad-parameter", "U+0000")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"from":"journal","since":"yesterday"}""", 400, "bad-body", "'since': 'yesterday' is neither")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"from":"journal","until":"16/"}""", 400, "bad-body", "'until': '16/' is neither")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"from":"journal","since":"2026-01-02","until":"2026-01-01"}""", 400, "bad-body", "'since' must be the earlier one")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"from":"journal","since":"0/5","until":"0/5"}""", 400, "bad-body", "no change is between them")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"from":"table"}""", 400, "bad-body", "'table'")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"since":"2026-01-01"}""", 400, "bad-body", "'since' is not possible with 'held'")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"until":"2026-01-01"}""", 400, "bad-body", "'until' is not possible with 'held'")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"rate":0}""", 400, "bad-body", "'rate' is 0")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"rate":100001}""", 400, "bad-body", "100001")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"rate":1.5}""", 400, "bad-body", "$.rate")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"keys":[]}""", 400, "bad-body", "0 keys")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"keys":["1\\"]}""", 400, "bad-body", "no key")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"keys":[null]}""", 400, "bad-body", "no key")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b","a.c"],"keys":["1"]}""", 400, "bad-body", "several tables")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.*"],"keys":["1"]}""", 400, "bad-body", "several tables")]
    [InlineData("""{"source":"shop","sink":"events","tables":["a.b"],"table":"x"}""", 400, "bad-body", "not the JSON")]
    [InlineData("""{"source":"shop","sink":"events","tables":["public.none"]}""", 404, "unknown-table", "'public.none'")]
    [InlineData("""{"source":"shop","sink":"events","tables":["public.log"]}""", 400, "not-replayable", "entities: off")]
    [InlineData("""{"source":"shop","sink":"events","tables":["public.twice"]}""", 409, "replay-conflict", "Replay 2 is running")]
    public async Task Bad_replays_are_refused(string body, int status, string type, string named)
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        await Refused(await Send(gateway, Replays, body), status, type, named);
    }

    [Fact]
    public async Task Replays_are_listed_shown_and_decided_about()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (_, page) = await gateway.Get($"{Replays}?limit=2");
        Assert.Equal([3L, 2L], page.GetProperty("replays").EnumerateArray().Select(r => r.GetProperty("id").GetInt64()));
        Assert.Equal(2, page.GetProperty("next").GetInt64());
        var (_, one) = await gateway.Get($"{Replays}/3");
        Assert.Equal("gone", one.GetProperty("waiting").GetString());
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.Get($"{Replays}/4")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await gateway.Get($"{Replays}/x")).Status);

        foreach (var (verb, meant) in new[] { ("pause", ReplayVerb.Pause), ("resume", ReplayVerb.Resume), ("cancel", ReplayVerb.Cancel) })
        {
            using var done = await Send(gateway, $"{Replays}/1/{verb}", "{}");
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
            Assert.Equal((1L, meant, "127.0.0.1"), cluster.Replays.Asked[^1]);
            await Refused(await Send(gateway, $"{Replays}/2/{verb}", "{}"), 409, "replay-state", "Replay 2 is done.");
            await Refused(await Send(gateway, $"{Replays}/9/{verb}", "{}"), 404, "unknown-replay", "no replay 9");
            await Refused(await Send(gateway, $"{Replays}/1/{verb}", "{}", "text/plain"), 415, "not-json", "text/plain");
        }
    }

    private static async Task Refused(HttpResponseMessage response, int status, string type, string named)
    {
        using (response)
        {
            var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync());
            Assert.Equal((status, $"urn:cdcorleans:problem:{type}"), ((int)response.StatusCode, problem.GetProperty("type").GetString()));
            Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }
    }

    private static async Task<HttpResponseMessage> Send(RunningGateway gateway, string path, string body, string type = "application/json")
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = MediaTypeHeaderValue.Parse(type) } };
        return await gateway.Client.PostAsync(new Uri(path, UriKind.Relative), content);
    }

    private static async Task<(FakeCluster Cluster, RunningGateway Gateway)> Start()
    {
        var cluster = new FakeCluster();
        return (cluster, await RunningGateway.Start(cluster, "shop"));
    }
}
