using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The endpoints for backfills.</summary>
[Collection("gateway")]
public class BackfillEndpointTests
{
    private const string Backfills = "/api/v1/backfills";

    [Fact]
    public async Task A_backfill_is_accepted_with_its_address()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        using var response = await Send(gateway, Backfills, """{"source":"shop","tables":["public.orders"],"keys":["1","2","1"],"kind":"repair","rate":5}""");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal("/api/v1/backfills/7", response.Headers.Location!.OriginalString);
        var backfill = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(
            (7, "running", "repair", 5, 2, 0), (Number(backfill, "id"), backfill.GetProperty("state").GetString(), backfill.GetProperty("kind").GetString(), Number(backfill, "rate"),
                Number(backfill, "rowsTotal"), Number(backfill, "percent")));
        var (order, who) = Assert.IsType<(BackfillOrder, string)>(Assert.Single(cluster.Backfills.Asked));
        Assert.Equal(("shop", BackfillKind.Repair, 5, null, "127.0.0.1"), (order.Source, order.Kind, order.Rate, order.Where, who));
        Assert.Equal(["1", "2"], order.Keys!);

        var most = new string('a', 10_000);
        using var byDefault = await Send(gateway, Backfills, $$"""{"source":"shop","tables":["public.*","other.a"],"where":"{{most}}"}""");
        Assert.Equal(HttpStatusCode.Accepted, byDefault.StatusCode);
        order = Assert.IsType<(BackfillOrder Order, string)>(cluster.Backfills.Asked[1]).Order;
        Assert.Equal((BackfillKind.Rows, 0, most, null), (order.Kind, order.Rate, order.Where, order.Keys));
        Assert.Equal(["public.*", "other.a"], order.Patterns);
        using var verify = await Send(gateway, Backfills, """{"source":"shop","tables":["public.*"],"kind":"verify","rate":0}""");
        Assert.Equal(BackfillKind.Verify, Assert.IsType<(BackfillOrder Order, string)>(cluster.Backfills.Asked[2]).Order.Kind);
    }

    [Theory]
    [InlineData("{}", 400, "bad-body", "'source'")]
    [InlineData("""{"source":"nope","tables":["a.b"]}""", 404, "unknown-source", "'nope'")]
    [InlineData("""{"source":"shop"}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","tables":[]}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","tables":[null]}""", 400, "bad-body", "'tables'")]
    [InlineData("""{"source":"shop","tables":["a\u0000"]}""", 400, "bad-parameter", "U+0000")]
    [InlineData("""{"source":"shop","tables":["a.b"],"where":"a\u0000"}""", 400, "bad-parameter", "U+0000")]
    [InlineData("""{"source":"shop","tables":["a.b"],"where":"\ud800"}""", 400, "bad-body", "not the JSON")]
    [InlineData("""{"source":"shop","tables":["a.b"],"where":" "}""", 400, "bad-body", "'where' is empty")]
    [InlineData("""{"source":"shop","tables":["a.b"],"where":"a > 1","keys":["1"]}""", 400, "bad-body", "'where' is given together with 'keys'")]
    [InlineData("""{"source":"shop","tables":["a.b"],"where":1}""", 400, "bad-body", "$.where")]
    [InlineData("""{"source":"shop","tables":["a.b"],"kind":"initial"}""", 400, "bad-body", "'kind' is 'initial'; it must be 'rows', 'repair' or 'verify'.")]
    [InlineData("""{"source":"shop","tables":["a.b"],"rate":-1}""", 400, "bad-body", "'rate' is -1")]
    [InlineData("""{"source":"shop","tables":["a.b"],"rate":1000001}""", 400, "bad-body", "1000001")]
    [InlineData("""{"source":"shop","tables":["a.b"],"rate":1.5}""", 400, "bad-body", "$.rate")]
    [InlineData("""{"source":"shop","tables":["a.b"],"keys":[]}""", 400, "bad-body", "0 keys")]
    [InlineData("""{"source":"shop","tables":["a.b"],"keys":["1\\"]}""", 400, "bad-body", "no key")]
    [InlineData("""{"source":"shop","tables":["a.b","a.c"],"keys":["1"]}""", 400, "bad-body", "several tables")]
    [InlineData("""{"source":"shop","tables":["a.*"],"keys":["1"]}""", 400, "bad-body", "several tables")]
    [InlineData("""{"source":"shop","tables":["a.b"],"sink":"x"}""", 400, "bad-body", "not the JSON")]
    [InlineData("""{"source":"shop","tables":["public.none"]}""", 404, "unknown-table", "'public.none'")]
    [InlineData("""{"source":"shop","tables":["public.bad"],"where":"x"}""", 400, "backfill-not-possible", "no condition")]
    [InlineData("""{"source":"shop","tables":["public.twice"]}""", 409, "backfill-conflict", "Backfill 2 is running")]
    [InlineData("""{"source":"shop","tables":["public.down"]}""", 503, "source-unavailable", "no server answers")]
    public async Task Bad_backfills_are_refused(string body, int status, string type, string named)
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        await Refused(await Send(gateway, Backfills, body), status, type, named);
    }

    [Fact]
    public async Task What_is_too_long_is_refused()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        await Refused(await Send(gateway, Backfills, $$"""{"source":"shop","tables":["a.b"],"where":"{{new string('a', 10_001)}}"}"""), 400, "bad-body", "'where' has 10001 characters; 10000 are allowed.");
        await Refused(await Send(gateway, Backfills, $$"""{"source":"shop","tables":["a.b"],"where":"{{new string('a', 70_000)}}"}"""), 413, "too-large", "64 KiB");
        await Refused(
            await Send(gateway, Backfills, $$"""{"source":"shop","tables":["a.b"],"keys":[{{string.Join(',', Enumerable.Range(1, 1001).Select(i => $"\"{i}\""))}}]}"""), 400, "bad-body", "1001 keys");
        await Refused(await Send(gateway, Backfills, """{"source":"shop","tables":["a.b"]}""", "text/plain"), 415, "bad-request", "");
        Assert.Empty(cluster.Backfills.Asked);
    }

    [Fact]
    public async Task Backfills_are_listed_shown_and_decided_about()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (_, page) = await gateway.Get($"{Backfills}?limit=2");
        Assert.Equal([3L, 2L], page.GetProperty("backfills").EnumerateArray().Select(r => r.GetProperty("id").GetInt64()));
        Assert.Equal(2, page.GetProperty("next").GetInt64());
        var (_, one) = await gateway.Get($"{Backfills}/3");
        Assert.Equal("gone", one.GetProperty("waiting").GetString());
        Assert.Equal(
            (1000, 400, 40, 300, 60, 2, 4, 6, 8, 10),
            (Number(one, "rowsTotal"), Number(one, "rowsDone"), Number(one, "percent"), Number(one, "sent"), Number(one, "unchanged"), Number(one, "created"), Number(one, "updated"),
                Number(one, "deleted"), Number(one, "parked"), Number(one, "deadLetters")));
        Assert.Equal((100.0, 7), (one.GetProperty("rowsPerSecond").GetDouble(), Number(one, "secondsLeft")));
        Assert.Equal(("public.b", 200), (one.GetProperty("tables")[1].GetProperty("table").GetString(), Number(one.GetProperty("tables")[1], "rowsDone")));
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.Get($"{Backfills}/4")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await gateway.Get($"{Backfills}/x")).Status);

        foreach (var (verb, meant) in new[] { ("pause", BackfillVerb.Pause), ("resume", BackfillVerb.Resume), ("cancel", BackfillVerb.Cancel) })
        {
            using var done = await Send(gateway, $"{Backfills}/1/{verb}", "{}");
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
            Assert.Equal((1L, meant, "127.0.0.1"), cluster.Backfills.Asked[^1]);
            await Refused(await Send(gateway, $"{Backfills}/2/{verb}", "{}"), 409, "backfill-state", "Backfill 2 is done.");
            await Refused(await Send(gateway, $"{Backfills}/9/{verb}", "{}"), 404, "unknown-backfill", "no backfill 9");
            await Refused(await Send(gateway, $"{Backfills}/1/{verb}", "{}", "text/plain"), 415, "not-json", "text/plain");
        }
    }

    [Fact]
    public async Task The_row_of_an_entity_is_read_again()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        foreach (var (path, key) in new[] { ("42", "42"), ("a%2Fb,c%252F", "a/b,c%2F"), ("reread", "reread") })
        {
            using var response = await Send(gateway, $"/api/v1/entities/shop/public.orders/{path}/reread", "");
            Assert.Equal((HttpStatusCode.Accepted, "/api/v1/backfills/7"), (response.StatusCode, response.Headers.Location!.OriginalString));
            var (order, who) = Assert.IsType<(BackfillOrder, string)>(cluster.Backfills.Asked[^1]);
            Assert.Equal(("shop", BackfillKind.Rows, "public.orders", key, null, "127.0.0.1"), (order.Source, order.Kind, Assert.Single(order.Patterns), Assert.Single(order.Keys!), order.Where, who));
        }

        const string Orders = "/api/v1/entities/shop/public.orders";
        var asked = cluster.Backfills.Asked.Count;
        await Refused(await Send(gateway, "/api/v1/entities/nope/public.orders/1/reread", ""), 404, "unknown-source", "'nope'");
        await Refused(await Send(gateway, "/api/v1/entities/shop/other.orders/1/reread", ""), 404, "table-not-held", "other.orders");
        await Refused(await Send(gateway, "/api/v1/entities/shop/public.log/1/reread", ""), 404, "table-not-held", "entities: off");
        await Refused(await Send(gateway, $"{Orders}/1%5C/reread", ""), 400, "bad-key", "");
        await Refused(await Send(gateway, $"{Orders}/1/reread", "{\"rate\":1}"), 400, "bad-body", "no arguments");
        await Refused(await Send(gateway, $"{Orders}/1/reread", "", "text/plain"), 415, "not-json", "text/plain");
        Assert.Equal(asked, cluster.Backfills.Asked.Count);
        await Refused(await Send(gateway, "/api/v1/entities/shop/public.twice/1/reread", ""), 409, "backfill-conflict", "Backfill 2 is running");
    }

    private static int Number(JsonElement item, string name) => item.GetProperty(name).GetInt32();

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
