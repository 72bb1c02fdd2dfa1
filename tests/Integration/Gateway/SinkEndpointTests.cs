using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Sinks;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The endpoints for sinks.</summary>
[Collection("gateway")]
public sealed class SinkEndpointTests
{
    [Fact]
    public async Task A_sink_is_shown_with_its_policies_its_circuits_and_what_is_stored_for_it()
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (status, all) = await gateway.Get("/api/v1/sinks");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(["events", "gone"], all.GetProperty("sinks").EnumerateArray().Select(s => s.GetProperty("name").GetString()));
        var (_, sink) = await gateway.Get("/api/v1/sinks/events");
        Assert.Equal(all.GetProperty("sinks")[0].GetRawText(), sink.GetRawText());
        Assert.Equal(("kafka", false, 6), (sink.GetProperty("type").GetString(), sink.GetProperty("healthy").GetBoolean(), sink.GetProperty("deadLetters").GetInt32()));
        Assert.Equal("""{"events":3,"bytes":900,"oldestSeconds":61}""", sink.GetProperty("parked").GetRawText());
        Assert.Equal("""{"by":"10.0.0.7","since":"1970-01-01T00:00:00+00:00"}""", sink.GetProperty("paused").GetRawText());
        Assert.Equal("""[{"source":"shop","destination":"https://example.com/hook","error":"503: later"}]""", sink.GetProperty("circuits").GetRawText());
        Assert.Equal("shop.public.*", sink.GetProperty("routes")[0].GetProperty("from").GetString());
        Assert.Equal(
            """{"inlineSeconds":2,"backoff":{"firstSeconds":1,"mostSeconds":600},"giveUp":{"attempts":50,"ageSeconds":null},"poison":"block","outage":"spill","spillBytes":1000}""",
            sink.GetProperty("routes")[0].GetProperty("delivery").GetRawText());
        var health = sink.GetProperty("sources")[0].GetProperty("health");
        Assert.Equal("https://example.com/hook: 503: later", health.GetProperty("openCircuits")[0].GetString());
        Assert.Equal("10.0.0.7", health.GetProperty("paused").GetProperty("by").GetString());
        var (_, removed) = await gateway.Get("/api/v1/sinks/gone");
        Assert.Equal(("removed", JsonValueKind.Null), (removed.GetProperty("type").GetString(), removed.GetProperty("paused").ValueKind));
    }

    [Fact]
    public async Task While_the_control_database_does_not_answer_the_rest_is_shown()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        cluster.Operations.HasStored = false;
        var (_, sink) = await gateway.Get("/api/v1/sinks/events");
        Assert.Equal(JsonValueKind.Null, sink.GetProperty("deadLetters").ValueKind);
        Assert.Equal("10.0.0.7", sink.GetProperty("paused").GetProperty("by").GetString());
    }

    [Fact]
    public async Task Who_pauses_and_resumes_reaches_the_cluster()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, paused) = await Post(gateway, "/api/v1/sinks/events/pause", "{}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("""{"sink":"events","changed":true,"paused":{"by":"127.0.0.1","since":"1970-01-01T00:00:00+00:00"}}""", paused.GetRawText());
        var (_, resumed) = await Post(gateway, "/api/v1/sinks/events/resume", "");
        Assert.Equal("""{"sink":"events","changed":true,"paused":null}""", resumed.GetRawText());
        Assert.Equal([("pause", "events", "127.0.0.1"), ("resume", "events", "127.0.0.1")], cluster.Operations.Asked.OfType<(string, string, string)>());
    }

    [Fact]
    public async Task A_test_answers_what_is_wrong()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, ok) = await Post(gateway, "/api/v1/sinks/events/test", "{}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("""{"sink":"events","ok":true,"error":null,"silo":"S127.0.0.1:11111:1","milliseconds":12.3}""", ok.GetRawText());
        cluster.Operations.TestFinds = "gone";
        var (_, failed) = await Post(gateway, "/api/v1/sinks/events/test", "");
        Assert.Equal((false, "gone"), (failed.GetProperty("ok").GetBoolean(), failed.GetProperty("error").GetString()));
    }

    [Theory]
    [InlineData("nope/test", "{}", "application/json", 404, "'nope'")]
    [InlineData("events/test", "", null, 415, "Content-Type")]
    [InlineData("nope/pause", "{}", "application/json", 404, "'nope'")]
    [InlineData("nope/resume", "{}", "application/json", 404, "'nope'")]
    [InlineData("events/pause", """{"for":"1h"}""", "application/json", 400, "no arguments")]
    [InlineData("events/pause", "", null, 415, "Content-Type")]
    [InlineData("events/resume", "", "text/plain", 415, "text/plain")]
    public async Task Bad_requests_are_refused(string path, string body, string? type, int status, string named)
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (answered, problem) = await Post(gateway, $"/api/v1/sinks/{path}", body, type);
        Assert.Equal(status, (int)answered);
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain(cluster.Operations.Asked, a => a is (_, "events", _));
    }

    /// <summary>A cluster whose sink has troubles, is paused, and has something stored.</summary>
    internal static FakeCluster Cluster()
    {
        var status = RunningGateway.Status("shop");
        var (silo, figures) = status.Silos.Single();
        status.Silos[silo] = figures with
        {
            Sinks =
            [
                figures.Sinks[0] with
                {
                    Healthy = false, LastError = "broker gone", Parked = 3, ParkedBytes = 900, OpenCircuits = [new OpenCircuit("https://example.com/hook", "503: later")],
                    Pause = new("events", "10.0.0.7", DateTimeOffset.UnixEpoch),
                },
            ],
        };
        return new FakeCluster { Sources = { ["shop"] = () => new(status) } };
    }

    private static async Task<(FakeCluster Cluster, RunningGateway Gateway)> Start()
    {
        var cluster = Cluster();
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
