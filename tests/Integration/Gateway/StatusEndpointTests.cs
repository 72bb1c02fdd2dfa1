using System.Net;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Sources;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

[Collection("gateway")]
public class StatusEndpointTests
{
    [Fact]
    public async Task The_status_shows_every_source_at_a_glance()
    {
        await using var gateway = await RunningGateway.Start(Two(SourceState.Holding, "window full"), "shop", "books");
        var (status, body) = await gateway.Get("/api/v1/status");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("shop-cluster", body.GetProperty("cluster").GetString());
        Assert.Equal("CdcOrleans", body.GetProperty("product").GetString());
        Assert.Matches(@"^\d+\.\d+\.\d+", body.GetProperty("version").GetString());
        Assert.Equal("degraded", body.GetProperty("state").GetString());
        var books = body.GetProperty("sources")[0];
        Assert.Equal("books", books.GetProperty("name").GetString());
        Assert.Equal("holding", books.GetProperty("state").GetString());
        Assert.Equal("window full", books.GetProperty("detail").GetString());
        var shop = body.GetProperty("sources")[1];
        Assert.Equal("""{"bytes":256,"seconds":0.25}""", shop.GetProperty("lag").GetRawText());
        Assert.Equal("987.5", shop.GetProperty("changesPerSecond").GetRawText());
        Assert.Equal("""{"p50":2.5,"p99":8.25,"max":20}""", shop.GetProperty("latency").GetRawText());
        Assert.Equal(
            """[{"name":"events","type":"kafka","healthy":true,"lastError":null,"delivered":4999999000,"refused":1,"waiting":12,"failed":0,"parked":0,"parkedBytes":0,"held":0,"isFull":false,"openCircuits":[],"paused":null}]""",
            shop.GetProperty("sinks").GetRawText());
    }

    [Fact]
    public async Task A_source_shows_everything()
    {
        await using var gateway = await RunningGateway.Start(Two(), "shop", "books");
        var (status, body) = await gateway.Get("/api/v1/sources/shop");
        Assert.Equal(HttpStatusCode.OK, status);
        const string sink = """{"name":"events","type":"kafka","healthy":true,"lastError":null,"delivered":4999999000,"refused":1,"waiting":12,"failed":0,"parked":0,"parkedBytes":0,"held":0,"isFull":false,"openCircuits":[],"paused":null}""";
        const string latency = """{"p50":2.5,"p99":8.25,"max":20}""";
        const string expected =
            $$"""
            {"name":"shop","state":"streaming","detail":null,"slot":"cdc_shop","publication":"pub_shop",
            "reader":{"silo":"S127.0.0.1:11111:1","epoch":7,
            "positions":{"server":"0/16B3748","received":"0/16B3700","confirmed":"0/16B3648"},
            "lag":{"bytes":256,"seconds":0.25},"retainedBytes":4096,
            "window":{"changes":12,"changesLimit":100000,"bytes":2048,"bytesLimit":67108864},
            "changes":5000000000,"transactions":1234,"changesPerSecond":987.5,"heartbeats":3,"partitions":32,"latency":{{latency}}},
            "leftOut":["table public.keyless is not captured"],"sinks":[{{sink}}],
            "silos":[{"silo":"S127.0.0.1:11111:1","partitions":32,"finished":4999999988,"duplicates":5,"deadLetters":1,"unrouted":2,"skipped":0,
            "awakeEntities":1000,"entitiesWoken":1500,"entitiesPutToSleep":500,"appliedInPassing":700,"entityFaults":0,"lastEntityFault":null,"entityBytes":500000,
            "memory":{"limit":268435456,"window":67108864,"applies":81920,"unsaved":4096,"waiting":2},
            "stateReads":40,"checkpoints":60,"statesWritten":900,"rowsTooLarge":0,"rowsUnreadable":0,"lastRowNotStored":null,"checkpointError":null,
            "latency":{{latency}},"sinks":[{{sink}}]}]}
            """;
        Assert.Equal(expected.ReplaceLineEndings(""), body.GetRawText());

        var all = (await gateway.Get("/api/v1/sources")).Body.GetProperty("sources");
        Assert.Equal(["books", "shop"], all.EnumerateArray().Select(s => s.GetProperty("name").GetString()!));
        Assert.Equal(body.GetRawText(), all[1].GetRawText());
    }

    [Fact]
    public async Task An_unknown_source_names_the_known()
    {
        await using var gateway = await RunningGateway.Start(Two(), "shop", "books");
        var (status, body) = await gateway.Get("/api/v1/sources/nope");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Equal("""["books","shop"]""", body.GetProperty("sources").GetRawText());
    }

    [Fact]
    public async Task One_source_in_trouble_does_not_hide_the_others()
    {
        var cluster = Two();
        cluster.Sources["books"] = () => throw new FormatException("secret");
        await using var gateway = await RunningGateway.Start(cluster, "shop", "books");
        var (status, body) = await gateway.Get("/api/v1/status");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("failed", body.GetProperty("state").GetString());
        Assert.Equal("unknown", body.GetProperty("sources")[0].GetProperty("state").GetString());
        Assert.Contains("FormatException", body.GetProperty("sources")[0].GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", body.GetRawText(), StringComparison.Ordinal);
        Assert.Equal("streaming", body.GetProperty("sources")[1].GetProperty("state").GetString());
        Assert.Equal(JsonValueKind.Null, (await gateway.Get("/api/v1/sources")).Body.GetProperty("sources")[0].GetProperty("reader").ValueKind);
        Assert.Equal(HttpStatusCode.BadGateway, (await gateway.Get("/api/v1/sources/books")).Status);
    }

    [Theory]
    [InlineData("/api/v1/status")]
    [InlineData("/api/v1/sources")]
    [InlineData("/api/v1/sources/shop")]
    public async Task A_cluster_out_of_reach_is_said_with_a_remedy(string path)
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => throw new SiloUnavailableException("none") } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (status, body) = await gateway.Get(path);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Equal("urn:cdcorleans:problem:cluster-unreachable", body.GetProperty("type").GetString());
        Assert.Contains("'shop-cluster'", body.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains("Start a silo", body.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reader_that_is_silent_times_out()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => new(new TaskCompletionSource<SourceStatus>().Task) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        Assert.Equal(HttpStatusCode.GatewayTimeout, (await gateway.Get("/api/v1/sources/shop")).Status);
    }

    [Fact]
    public async Task Liveness_needs_no_cluster()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => throw new SiloUnavailableException("none") } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        Assert.Equal("""{"status":"live"}""", await gateway.Client.GetStringAsync("/health/live"));
    }

    [Theory]
    [InlineData(SourceState.Streaming, HttpStatusCode.OK)]
    [InlineData(SourceState.Holding, HttpStatusCode.OK)]
    [InlineData(SourceState.Starting, HttpStatusCode.ServiceUnavailable)]
    [InlineData(SourceState.Retrying, HttpStatusCode.ServiceUnavailable)]
    [InlineData(SourceState.Failed, HttpStatusCode.ServiceUnavailable)]
    [InlineData(SourceState.Stopped, HttpStatusCode.ServiceUnavailable)]
    public async Task Readiness_names_the_source_that_is_not(SourceState state, HttpStatusCode expected)
    {
        await using var gateway = await RunningGateway.Start(Two(state, "slot is gone"), "shop", "books");
        var (status, body) = await gateway.Get("/health/ready");
        Assert.Equal(expected, status);
        var books = body.GetProperty("sources")[0];
        Assert.Equal("books", books.GetProperty("name").GetString());
        Assert.Equal(expected == HttpStatusCode.OK, books.GetProperty("ready").GetBoolean());
        Assert.Equal(state.ToString().ToLowerInvariant(), books.GetProperty("state").GetString());
        Assert.Equal("slot is gone", books.GetProperty("detail").GetString());
        Assert.True(body.GetProperty("sources")[1].GetProperty("ready").GetBoolean());
        if (expected != HttpStatusCode.OK)
        {
            var detail = body.GetProperty("detail").GetString();
            Assert.Contains("'books' (slot is gone)", detail, StringComparison.Ordinal);
            Assert.DoesNotContain("'shop'", detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_a_cluster_nothing_is_ready()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => throw new SiloUnavailableException("none") } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (status, body) = await gateway.Get("/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("cannot be reached", body.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    private static FakeCluster Two(SourceState books = SourceState.Streaming, string? detail = null) => new()
    {
        Sources =
        {
            ["shop"] = () => new(RunningGateway.Status("shop")),
            ["books"] = () => new(RunningGateway.Status("books", books, detail)),
        },
    };
}
