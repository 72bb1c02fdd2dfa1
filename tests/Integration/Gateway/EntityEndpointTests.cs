using System.Net;
using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Model.Entities;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

[Collection("gateway")]
public class EntityEndpointTests
{
    [Theory]
    [InlineData("public.orders", "1")]
    [InlineData("public.orders", "a/b")]
    [InlineData("public.orders", "a%2Fb")]
    [InlineData("public.orders", "100%")]
    [InlineData("public.orders", "with space, and\\, comma")]
    [InlineData("public.orders", "1,\\N")]
    [InlineData("public.orders", "äöü€漢🙂")]
    [InlineData("public.orders", "a+b?c#d&e=f")]
    [InlineData("public.orders", "/")]
    [InlineData("public.in/out%", "//x//")]
    [InlineData("public.Quoted Table", "\"x\"")]
    public async Task Any_key_reaches_its_entity(string table, string key)
    {
        var id = new EntityId("shop", new EntityKey(table, key));
        var cluster = new FakeCluster { Entities = { [id.ToString()] = () => new(RunningGateway.View("shop", table, key)) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");

        foreach (var path in new[] { $"/{Uri.EscapeDataString(key)}", $"?key={Uri.EscapeDataString(key)}" })
        {
            var (status, body) = await gateway.Get($"/api/v1/entities/shop/{Uri.EscapeDataString(table)}{path}");
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Equal(key, body.GetProperty("key").GetString());
            Assert.Equal(table, body.GetProperty("table").GetString());
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    public async Task Keys_that_a_path_cannot_carry_go_in_the_query(string key)
    {
        var cluster = new FakeCluster { Entities = { [$"shop/public.orders/{key}"] = () => new(RunningGateway.View("shop", "public.orders", key)) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (status, body) = await gateway.Get($"/api/v1/entities/shop/public.orders?key={key}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(key, body.GetProperty("key").GetString());
    }

    [Fact]
    public async Task Slashes_may_stand_as_they_are()
    {
        var cluster = new FakeCluster { Entities = { ["shop/public.orders/a/b"] = () => new(RunningGateway.View("shop", "public.orders", "a/b")) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        Assert.Equal(HttpStatusCode.OK, (await gateway.Get("/api/v1/entities/shop/public.orders/a/b")).Status);
    }

    [Fact]
    public async Task The_row_is_shown_as_the_event_has_it()
    {
        const string row = """{"id":12345678901234567890,"price":1.10,"name":"Käse <b>\"fein\"</b>","note":null,"tags":"{a,b}","ok":true}""";
        var cluster = new FakeCluster { Entities = { ["shop/public.orders/1"] = () => new(RunningGateway.View("shop", "public.orders", "1", row)) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var text = await gateway.Client.GetStringAsync("/api/v1/entities/shop/public.orders/1");
        Assert.Equal(
            $$"""{"source":"shop","table":"public.orders","key":"1","version":"0/16B3648/2","deleted":false,"schemaVersion":3,"waiting":1,"awake":true,"row":{{row}},"rowNotStored":null}""",
            text);
    }

    [Fact]
    public async Task A_row_that_is_not_stored_says_why()
    {
        var view = RunningGateway.View("shop", "public.orders", "1", null) with { Deleted = false, RowAbsence = RowAbsence.TooLarge };
        var cluster = new FakeCluster { Entities = { ["shop/public.orders/1"] = () => new(view) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (_, body) = await gateway.Get("/api/v1/entities/shop/public.orders/1");
        Assert.Equal(JsonValueKind.Null, body.GetProperty("row").ValueKind);
        Assert.Equal("tooLarge", body.GetProperty("rowNotStored").GetString());
    }

    [Fact]
    public async Task A_deleted_entity_has_no_row()
    {
        var cluster = new FakeCluster { Entities = { ["shop/public.orders/1"] = () => new(RunningGateway.View("shop", "public.orders", "1", null)) } };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (_, body) = await gateway.Get("/api/v1/entities/shop/public.orders/1");
        Assert.True(body.GetProperty("deleted").GetBoolean());
        Assert.Equal(JsonValueKind.Null, body.GetProperty("row").ValueKind);
    }

    [Theory]
    [InlineData("/api/v1/entities/shop/public.orders/77", HttpStatusCode.NotFound, "unknown-entity", "shop.public.orders")]
    [InlineData("/api/v1/entities/nope/public.orders/1", HttpStatusCode.NotFound, "unknown-source", "'books', 'shop'")]
    [InlineData("/api/v1/entities/shop/audit.orders/1", HttpStatusCode.NotFound, "table-not-held", "'public.*'")]
    [InlineData("/api/v1/entities/shop/orders/1", HttpStatusCode.NotFound, "table-not-held", "schema.table")]
    [InlineData("/api/v1/entities/shop/public./1", HttpStatusCode.NotFound, "table-not-held", "schema.table")]
    [InlineData("/api/v1/entities/shop/public.log/1", HttpStatusCode.NotFound, "table-not-held", "entities: off")]
    [InlineData("/api/v1/entities/shop/public.orders", HttpStatusCode.BadRequest, "bad-key", "?key=")]
    [InlineData("/api/v1/entities/shop/public.orders/a%5Cx", HttpStatusCode.BadRequest, "bad-key", "escape")]
    [InlineData("/api/v1/entities/shop/public.orders?key=%00", HttpStatusCode.BadRequest, "bad-key", "U+0000")]
    [InlineData("/api/v1/entities/shop/public.orders?key=1%00", HttpStatusCode.BadRequest, "bad-key", "U+0000")]
    [InlineData("/api/v1/entities/shop//1", HttpStatusCode.NotFound, "not-found", "/openapi/v1.json")]
    [InlineData("/api/v1/entities/shop", HttpStatusCode.NotFound, "not-found", "/openapi/v1.json")]
    public async Task What_cannot_be_found_is_explained(string path, HttpStatusCode expected, string type, string says)
    {
        var cluster = new FakeCluster();
        await using var gateway = await RunningGateway.Start(cluster, "shop", "books");
        var (status, body) = await gateway.Get(path);
        Assert.Equal(expected, status);
        Assert.Equal("urn:cdcorleans:problem:" + type, body.GetProperty("type").GetString());
        Assert.Contains(says, body.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(type == "unknown-entity" ? ["shop/public.orders/77"] : [], cluster.Asked);
    }

    [Theory]
    [InlineData("unreachable", HttpStatusCode.ServiceUnavailable, "cluster-unreachable", "Start a silo")]
    [InlineData("silent", HttpStatusCode.GatewayTimeout, "cluster-timeout", "did not answer")]
    [InlineData("timed out", HttpStatusCode.GatewayTimeout, "cluster-timeout", "did not answer")]
    [InlineData("busy", HttpStatusCode.ServiceUnavailable, "control-database-busy", "Remedy: ask fewer")]
    [InlineData("broken", HttpStatusCode.BadGateway, "cluster-failed", "FormatException")]
    [InlineData("no json", HttpStatusCode.InternalServerError, "internal-error", "log")]
    public async Task Trouble_is_told_without_row_data(string trouble, HttpStatusCode expected, string type, string says)
    {
        const string key = "private-key-7";
        var cluster = new FakeCluster
        {
            Entities =
            {
                ["shop/public.orders/" + key] = () => trouble switch
                {
                    "unreachable" => throw new SiloUnavailableException("shop/public.orders/" + key),
                    "silent" => new(new TaskCompletionSource<EntityView?>().Task),
                    "timed out" => throw new TimeoutException("shop/public.orders/" + key),
                    "busy" => throw new EntityUnavailableException("All connections are in use. Remedy: ask fewer."),
                    "broken" => throw new FormatException("bad value in " + key),
                    _ => new(RunningGateway.View("shop", "public.orders", key, key)),
                },
            },
        };
        await using var gateway = await RunningGateway.Start(cluster, "shop");
        var (status, body) = await gateway.Get("/api/v1/entities/shop/public.orders/" + key);
        Assert.Equal(expected, status);
        Assert.Equal("urn:cdcorleans:problem:" + type, body.GetProperty("type").GetString());
        Assert.Contains(says, body.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain(key, body.ToString(), StringComparison.Ordinal);
        Assert.Contains(gateway.Log, line => line.StartsWith("/api/v1/entities/{source}/{table}/{**key}", StringComparison.Ordinal));
        Assert.DoesNotContain(gateway.Log, line => line.Contains(key, StringComparison.Ordinal));
    }
}
