using System.Net;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The endpoints for the history of entities and for journals.</summary>
[Collection("gateway")]
public class JournalEndpointTests
{
    private const string History = "/api/v1/entities/shop/public.kept/1/history";

    [Fact]
    public async Task A_history_has_rows_and_differences_and_the_next_page()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (status, page) = await gateway.Get(
            $"{History}?after=4:0/16B3700/1&limit=2&since=2026-01-31T12:00:00.5Z&until=16/B374D848");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(
            new HistoryQuestion(
                new EntityId("shop", new EntityKey("public.kept", "1")), "4:0/16B3700/1", 2, new DateTimeOffset(2026, 1, 31, 12, 0, 0, 500, TimeSpan.Zero), null, null,
                Lsn.Parse("16/B374D848")),
            Assert.Single(cluster.Journals.Asked));
        Assert.Equal(("shop", "public.kept", "1", "3:0/16B3648/1"),
            (page.GetProperty("source").GetString(), page.GetProperty("table").GetString(), page.GetProperty("key").GetString(), page.GetProperty("next").GetString()));
        var update = page.GetProperty("changes")[0];
        Assert.Equal(("0/16B3648/2", "0/16B3648", "update", 4, 9), (
            update.GetProperty("version").GetString(), update.GetProperty("lsn").GetString(), update.GetProperty("operation").GetString(),
            update.GetProperty("schemaVersion").GetInt32(), update.GetProperty("xid").GetInt32()));
        Assert.Equal("""{"id":1,"n":2}""", update.GetProperty("row").GetRawText());
        Assert.Equal(DateTimeOffset.UnixEpoch.AddSeconds(2), update.GetProperty("committedAt").GetDateTimeOffset());
        Assert.Equal(
            """[{"column":"n","before":1,"after":2},{"column":"note","before":null,"after":"x"}]""", update.GetProperty("differences").GetRawText());
        Assert.Equal(JsonValueKind.Null, update.GetProperty("otherKey").ValueKind);
        Assert.Equal("7", page.GetProperty("changes")[1].GetProperty("otherKey").GetString());
    }

    [Theory]
    [InlineData("2026-01-31", "2026-01-31T00:00:00Z")]
    [InlineData("2026-01-31T12:00Z", "2026-01-31T12:00:00Z")]
    [InlineData("2026-01-31T12:00:00", "2026-01-31T12:00:00Z")]
    [InlineData("2026-01-31T12:00:00%2B02:00", "2026-01-31T10:00:00Z")]
    [InlineData("2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123456Z")]
    public async Task Times_are_of_iso_8601_and_without_a_zone_of_utc(string text, string time)
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        Assert.Equal(HttpStatusCode.OK, (await gateway.Get($"{History}?since={text}")).Status);
        Assert.Equal(DateTimeOffset.Parse(time, System.Globalization.CultureInfo.InvariantCulture), cluster.Journals.Asked[0].SinceTime);
    }

    [Theory]
    [InlineData("a%2Fb", "a/b")]
    [InlineData("a%252Fb", "a%2Fb")]
    [InlineData("history", "history")]
    [InlineData("%2Fhistory", "/history")]
    [InlineData("1,%5CN", "1,\\N")]
    public async Task Any_key_has_a_history(string path, string key)
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        Assert.Equal(HttpStatusCode.OK, (await gateway.Get($"/api/v1/entities/shop/public.kept/{path}/history")).Status);
        Assert.Equal(key, cluster.Journals.Asked[0].Entity.Key.Key);
    }

    [Fact]
    public async Task An_entity_may_have_a_key_that_ends_like_a_history()
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        await gateway.Get("/api/v1/entities/shop/public.kept/history");
        await gateway.Get("/api/v1/entities/shop/public.kept/a%2Fhistory");
        Assert.Equal(["shop/public.kept/history", "shop/public.kept/a/history"], cluster.Asked);
        Assert.Empty(cluster.Journals.Asked);
    }

    [Theory]
    [InlineData($"{History}?limit=0", 400, "bad-parameter", "'0'")]
    [InlineData($"{History}?after=7", 400, "bad-parameter", "'7'")]
    [InlineData($"{History}?after=1:0/FFFFFFFFFFFFFFFF/1", 400, "bad-parameter", "'after'")]
    [InlineData($"{History}?since=yesterday", 400, "bad-parameter", "2026-01-31T12:00:00Z")]
    [InlineData($"{History}?until=16/x", 400, "bad-parameter", "'until'")]
    [InlineData("/api/v1/entities/shop/public.kept/a%5Cb/history", 400, "bad-key", "escape")]
    [InlineData("/api/v1/entities/nope/public.kept/1/history", 404, "unknown-source", "'shop'")]
    [InlineData("/api/v1/entities/shop/other.kept/1/history", 404, "table-not-held", "public.*")]
    [InlineData("/api/v1/entities/shop/public.orders/1/history", 409, "no-journal", "journal: { age: 7d, size: 10GB }")]
    public async Task What_is_not_possible_is_refused_with_its_remedy(string path, int status, string type, string named)
    {
        var (cluster, gateway) = await Start();
        await using var stop = gateway;
        var (answered, problem) = await gateway.Get(path);
        Assert.Equal(status, (int)answered);
        Assert.Equal($"urn:cdcorleans:problem:{type}", problem.GetProperty("type").GetString());
        Assert.Contains(named, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty(cluster.Journals.Asked);
    }

    [Fact]
    public async Task Journals_show_their_size_and_age_here_and_in_the_metrics()
    {
        var (_, gateway) = await Start();
        await using var stop = gateway;
        var (_, list) = await gateway.Get("/api/v1/journals");
        var journal = list.GetProperty("journals")[0];
        Assert.Equal(("shop", "public.orders", 3, 4096, DateTimeOffset.UnixEpoch), (
            journal.GetProperty("source").GetString(), journal.GetProperty("table").GetString(), journal.GetProperty("segments").GetInt32(), journal.GetProperty("bytes").GetInt32(),
            journal.GetProperty("oldest").GetDateTimeOffset()));
        Assert.Equal(JsonValueKind.Null, list.GetProperty("journals")[1].GetProperty("oldest").ValueKind);

        var metrics = "";
        for (var deadline = DateTime.UtcNow.AddSeconds(20); !metrics.Contains("cdc_journal_bytes", StringComparison.Ordinal); await Task.Delay(50))
        {
            Assert.True(DateTime.UtcNow < deadline, metrics);
            metrics = await gateway.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        }

        Assert.Matches("cdc_journal_bytes(_bytes)?\\{[^}]*source=\"shop\",table=\"public.orders\"[^}]*\\} 4096", metrics);
        Assert.Matches("cdc_journal_oldest(_seconds)?\\{[^}]*table=\"public.orders\"", metrics);
    }

    private static async Task<(FakeCluster Cluster, RunningGateway Gateway)> Start()
    {
        var cluster = new FakeCluster { Sources = { ["shop"] = () => new(RunningGateway.Status("shop")) } };
        return (cluster, await RunningGateway.Start(cluster, "shop"));
    }
}
