using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Storage;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The endpoints for dead letters, parked events, sinks and the audit log.</summary>
[Collection("gateway")]
public class LetterEndpointTests
{
    private const string Letters = "/api/v1/dead-letters";

    [Fact]
    public async Task Lists_are_paged_and_filtered_and_have_no_content_of_events()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, page) = await gateway.Get($"{Letters}?sink=events&source=shop&table=public.orders&key=1&fingerprint=f00d&limit=2");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal([1L, 2L], page.GetProperty("deadLetters").EnumerateArray().Select(l => l.GetProperty("id").GetInt64()));
        Assert.Equal(2, page.GetProperty("next").GetInt64());
        Assert.Equal("0/16B3648/1", page.GetProperty("deadLetters")[0].GetProperty("version").GetString());
        Assert.False(page.GetProperty("deadLetters")[0].TryGetProperty("event", out _));
        Assert.Equal(
            (new LetterFilter { Sink = "events", Source = "shop", Table = "public.orders", Key = "1", Fingerprint = "f00d" }, 0L, 2), Assert.Single(cluster.Operations.Asked));

        var (_, last) = await gateway.Get($"{Letters}?after=2");
        Assert.Equal(JsonValueKind.Null, last.GetProperty("next").ValueKind);
        var (_, groups) = await gateway.Get($"{Letters}/groups");
        Assert.Equal((3, "f00d"), (groups.GetProperty("groups")[0].GetProperty("count").GetInt32(), groups.GetProperty("groups")[0].GetProperty("fingerprint").GetString()));
        var (_, parked) = await gateway.Get("/api/v1/parked?sink=events");
        Assert.Equal((5, 2), (parked.GetProperty("parked")[0].GetProperty("id").GetInt32(), parked.GetProperty("parked")[0].GetProperty("events").GetInt32()));
        var (_, audit) = await gateway.Get("/api/v1/audit?limit=1");
        Assert.Equal(("discard", 9), (audit.GetProperty("entries")[0].GetProperty("operation").GetString(), audit.GetProperty("next").GetInt32()));
        var (_, sinks) = await gateway.Get("/api/v1/sinks");
        Assert.Equal("shop", sinks.GetProperty("sinks")[0].GetProperty("sources")[0].GetProperty("source").GetString());
        var (_, sink) = await gateway.Get("/api/v1/sinks/events");
        Assert.Equal("kafka", sink.GetProperty("type").GetString());
    }

    [Fact]
    public async Task One_is_shown_whole()
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (_, letter) = await gateway.Get($"{Letters}/2");
        var content = letter.GetProperty("event");
        Assert.Equal("{\"id\":1}", content.GetProperty("key").GetProperty("text").GetString());
        Assert.Equal("/wA=", content.GetProperty("value").GetProperty("base64").GetString());
        Assert.Equal("Zoë", content.GetProperty("headers")[0].GetProperty("value").GetProperty("text").GetString());
    }

    [Theory]
    [InlineData($"{Letters}?limit=0", "'0'")]
    [InlineData($"{Letters}?limit=1001", "'1001'")]
    [InlineData($"{Letters}?limit=abc", "'abc'")]
    [InlineData($"{Letters}?limit=", "''")]
    [InlineData($"{Letters}?after=-1", "'-1'")]
    [InlineData($"{Letters}?after=99999999999999999999", "whole number")]
    [InlineData($"{Letters}?key=%00", "U+0000")]
    [InlineData($"{Letters}?table=a%00b", "U+0000")]
    [InlineData($"{Letters}/groups?sink=%00", "U+0000")]
    [InlineData($"{Letters}/abc", "'abc'")]
    [InlineData("/api/v1/parked?limit=0", "'0'")]
    [InlineData("/api/v1/parked?source=%00", "U+0000")]
    [InlineData("/api/v1/audit?limit=1001", "'1001'")]
    [InlineData("/api/v1/audit?after=x", "'x'")]
    public async Task Bad_parameters_are_named(string path, string named)
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, problem) = await gateway.Get(path);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("urn:cdcorleans:problem:bad-parameter", problem.GetProperty("type").GetString());
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty(cluster.Operations.Asked);
    }

    [Theory]
    [InlineData($"{Letters}/4", "unknown-dead-letter")]
    [InlineData("/api/v1/sinks/nope", "unknown-sink")]
    public async Task What_is_unknown_is_not_found(string path, string type)
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (status, problem) = await gateway.Get(path);
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Equal($"urn:cdcorleans:problem:{type}", problem.GetProperty("type").GetString());
    }

    [Fact]
    public async Task Decisions_reach_the_cluster_with_who_made_them_and_are_answered_for_each_letter()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, answer) = await Post(gateway, $"{Letters}/redeliver", """{"ids":[1,3,1,8],"as":"current"}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(1, answer.GetProperty("accepted").GetInt32());
        Assert.Equal((3, "busy"), (answer.GetProperty("refused")[0].GetProperty("id").GetInt32(), answer.GetProperty("refused")[0].GetProperty("reason").GetString()));
        Assert.Equal(8, answer.GetProperty("unknown")[0].GetInt32());
        var (selection, what, who) = Assert.IsType<(LetterSelection, RedeliverAs, string)>(Assert.Single(cluster.Operations.Asked));
        Assert.Equal([1, 3, 8], selection.Ids!);
        Assert.Equal((RedeliverAs.Current, "127.0.0.1"), (what, who));

        var (_, discarded) = await Post(gateway, $"{Letters}/discard", """{"fingerprint":"f00d","sink":"events"}""");
        Assert.Equal(2, discarded.GetProperty("accepted").GetInt32());
        Assert.Equal(new LetterSelection(null, "f00d", "events"), Assert.IsType<(LetterSelection, string)>(cluster.Operations.Asked[1]).Item1);

        var (_, retried) = await Post(gateway, "/api/v1/parked/retry", """{"sink":"events","source":"shop","table":"public.orders","key":"1"}""");
        Assert.Equal(7, retried.GetProperty("entities").GetInt32());
    }

    [Theory]
    [InlineData("redeliver", "{}", 400, "either 'ids' or 'fingerprint'")]
    [InlineData("redeliver", """{"ids":[1],"fingerprint":"f"}""", 400, "either 'ids' or 'fingerprint'")]
    [InlineData("redeliver", """{"ids":[]}""", 400, "0 ids")]
    [InlineData("redeliver", """{"ids":["1"]}""", 400, "$.ids[0]")]
    [InlineData("redeliver", """{"ids":[1],"as":"now"}""", 400, "'as'")]
    [InlineData("redeliver", """{"ids":[1],"idds":[1]}""", 400, "not the JSON")]
    [InlineData("redeliver", "{", 400, "not the JSON")]
    [InlineData("redeliver", "", 400, "not the JSON")]
    [InlineData("redeliver", "null", 400, "null")]
    [InlineData("discard", """{"fingerprint":""}""", 400, "empty")]
    [InlineData("discard", """{"fingerprint":"a\u0000"}""", 400, "U+0000")]
    [InlineData("discard", """{"ids":[99]}""", 404, "no dead letter 99")]
    [InlineData("discard", """{"fingerprint":"beef"}""", 404, "'beef'")]
    [InlineData("discard", """{"fingerprint":"f00d","after":-1}""", 400, "'after'")]
    public async Task Bad_decisions_are_refused(string decision, string body, int status, string named)
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (answered, problem) = await Post(gateway, $"{Letters}/{decision}", body);
        Assert.Equal(status, (int)answered);
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", 400, "'sink'")]
    [InlineData("""{"sink":"nope"}""", 404, "'nope'")]
    [InlineData("""{"sink":"events","source":"nope"}""", 404, "'nope'")]
    [InlineData("""{"sink":"events","key":"1"}""", 400, "'table'")]
    public async Task Bad_retries_are_refused(string body, int status, string named)
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (answered, problem) = await Post(gateway, "/api/v1/parked/retry", body);
        Assert.Equal(status, (int)answered);
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_many_ids_too_large_bodies_and_other_content_types_are_refused()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        Assert.Equal(HttpStatusCode.BadRequest, (await Post(gateway, $"{Letters}/discard", $"{{\"ids\":[{string.Join(',', Enumerable.Range(1, 1001))}]}}")).Status);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await Post(gateway, $"{Letters}/discard", $"{{\"ids\":[1],\"sink\":\"{new string('x', 70_000)}\"}}")).Status);

        // A page of another origin can send these without asking the browser's permission first.
        foreach (var type in new[] { "text/plain", "application/x-www-form-urlencoded", null })
            Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await Post(gateway, $"{Letters}/discard", """{"ids":[1]}""", type)).Status);
        Assert.Empty(cluster.Operations.Asked);
    }

    private static async Task<(FakeCluster Cluster, RunningGateway Gateway)> Start()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => new(RunningGateway.Status("shop")) } };
        return (cluster, await RunningGateway.Start(cluster, "shop"));
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> Post(RunningGateway gateway, string path, string body, string? type = "application/json")
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.ContentType = type is null ? null : new MediaTypeHeaderValue(type);
        using var response = await gateway.Client.PostAsync(new Uri(path, UriKind.Relative), content);
        Assert.Equal(response.IsSuccessStatusCode ? "application/json" : "application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return (response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync()));
    }
}
