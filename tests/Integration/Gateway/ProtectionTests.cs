using System.Net;
using System.Text.Json;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

[Collection("gateway")]
public class ProtectionTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    [InlineData("LOCALHOST:8080")]
    [InlineData("[::1]:8080")]
    public async Task Loopback_names_are_answered(string host)
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        Assert.StartsWith("HTTP/1.1 200", await gateway.Raw($"GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evil.example:8080")]
    [InlineData("localhost.evil.example")]
    [InlineData("127.0.0.1.evil.example")]
    [InlineData("192.168.0.10")]
    [InlineData("0.0.0.0")]
    [InlineData("")]
    public async Task Other_names_are_refused(string host)
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        foreach (var path in new[] { "/api/v1/status", "/metrics", "/openapi/v1.json", "/health/live", "/nothing" })
        {
            var answer = await gateway.Raw($"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 400", answer, StringComparison.Ordinal);
            Assert.Contains("urn:cdcorleans:problem:host-not-allowed", answer, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/api/v1/status")]
    [InlineData("/api/v1/entities/shop/public.orders/1")]
    [InlineData("/nothing")]
    [InlineData("/openapi/v1.json")]
    public async Task Every_answer_carries_the_protective_headers(string path)
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        using var response = await gateway.Client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("no-store", response.Headers.GetValues("Cache-Control").Single());
        Assert.Contains("default-src 'none'", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Server"));
    }

    [Fact]
    public async Task Only_reading_is_possible()
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        foreach (var path in new[] { "/api/v1/status", "/api/v1/sources/shop", "/metrics", "/health/ready" })
        {
            using var response = await gateway.Client.PostAsync(new Uri(path, UriKind.Relative), null);
            Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        }
    }

    [Fact]
    public async Task Long_headers_are_refused()
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        var answer = await gateway.Raw($"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: {new string('x', 20_000)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 431", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Errors_are_problem_documents_whatever_the_client_accepts()
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/sources/nope");
        request.Headers.Accept.ParseAdd("text/html");
        using var response = await gateway.Client.SendAsync(request);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task The_document_describes_every_path()
    {
        await using var gateway = await RunningGateway.Start(Cluster(), "shop");
        var (_, document) = await gateway.Get("/openapi/v1.json");
        Assert.StartsWith("3.", document.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        var operations = document.GetProperty("paths").EnumerateObject()
            .ToDictionary(p => p.Name, p => p.Value.TryGetProperty("get", out var get) ? get : p.Value.GetProperty("post"));
        Assert.Equal(
            [
                "/api/v1/audit", "/api/v1/backfills", "/api/v1/backfills/{id}", "/api/v1/backfills/{id}/cancel", "/api/v1/backfills/{id}/pause",
                "/api/v1/backfills/{id}/resume", "/api/v1/dead-letters", "/api/v1/dead-letters/discard", "/api/v1/dead-letters/groups", "/api/v1/dead-letters/redeliver",
                "/api/v1/dead-letters/{id}", "/api/v1/entities/{source}/{table}", "/api/v1/entities/{source}/{table}/{key}",
                "/api/v1/entities/{source}/{table}/{key}/history", "/api/v1/entities/{source}/{table}/{key}/reread", "/api/v1/journals", "/api/v1/parked", "/api/v1/parked/retry", "/api/v1/replays",
                "/api/v1/replays/{id}", "/api/v1/replays/{id}/cancel", "/api/v1/replays/{id}/pause", "/api/v1/replays/{id}/resume", "/api/v1/sinks",
                "/api/v1/sinks/{sink}", "/api/v1/sinks/{sink}/pause", "/api/v1/sinks/{sink}/resume", "/api/v1/sinks/{sink}/test", "/api/v1/sources",
                "/api/v1/sources/{source}", "/api/v1/status", "/health/live",
                "/health/ready", "/metrics",
            ],
            operations.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(operations.Count, operations.Values.Select(o => o.GetProperty("operationId").GetString()).Distinct().Count());
        Assert.All(operations.Values, o => Assert.NotEmpty(o.GetProperty("summary").GetString()!));
        Assert.All(operations.Values, o => Assert.True(
            (o.GetProperty("responses").TryGetProperty("200", out var answer) || o.GetProperty("responses").TryGetProperty("202", out answer)) && answer.TryGetProperty("content", out _)));
        var schemas = document.GetProperty("components").GetProperty("schemas");
        Assert.Equal("integer", schemas.GetProperty("Lag").GetProperty("properties").GetProperty("bytes").GetProperty("type").GetString());
        Assert.Equal(JsonValueKind.Object, schemas.GetProperty("SourceDetail").ValueKind);
    }

    private static FakeCluster Cluster() => new()
    {
        Sources = { ["shop"] = () => new(RunningGateway.Status("shop")) },
        Entities = { ["shop/public.orders/1"] = () => new(RunningGateway.View("shop", "public.orders", "1")) },
    };
}
