using CdcOrleans.Gateway;
using CdcOrleans.Gateway.Security;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CdcOrleans.Unit.Gateway;

public class ListenAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://127.0.0.1:0/")]
    [InlineData("http://127.8.8.8:8080")]
    [InlineData("http://localhost:8080")]
    [InlineData("http://[::1]:8080")]
    public void Loopback_is_fine(string listen) => Assert.Null(ListenAddress.Finding(new Uri(listen)));

    [Theory]
    [InlineData("http://0.0.0.0:8080", "not a loopback address")]
    [InlineData("http://[::]:8080", "not a loopback address")]
    [InlineData("http://192.168.1.4:8080", "not a loopback address")]
    [InlineData("http://gateway.example:8080", "not a loopback address")]
    [InlineData("http://localhost.example:8080", "not a loopback address")]
    [InlineData("https://127.0.0.1:8443", "not an http address")]
    [InlineData("unix:/run/cdc.sock", "not an http address")]
    [InlineData("http://127.0.0.1:8080/cdc", "scheme, host and port only")]
    [InlineData("http://user:pass@127.0.0.1:8080", "scheme, host and port only")]
    public void Anything_else_is_refused_with_a_reason(string listen, string reason)
    {
        var finding = ListenAddress.Finding(new Uri(listen));
        Assert.Contains(reason, finding, StringComparison.Ordinal);
        Assert.Contains("http://127.0.0.1:8080", finding, StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_in_the_address_is_not_repeated() =>
        Assert.DoesNotContain("pass", ListenAddress.Finding(new Uri("http://user:pass@127.0.0.1:8080"))!, StringComparison.Ordinal);

    [Fact]
    public void The_gateway_is_not_added_for_the_network()
    {
        var e = Assert.Throws<InvalidOperationException>(() => new ServiceCollection().AddCdcGateway(Configurations.Of("http://0.0.0.0:8080")));
        Assert.Contains("0.0.0.0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Membership_is_looked_up_in_orleans_own_schema()
    {
        var connection = new Npgsql.NpgsqlConnectionStringBuilder(
            GatewayHost.MembershipConnection("Host=db;Database=cdc;Username=u;Password=p;Search Path=public"));
        Assert.Equal("orleans", connection.SearchPath);
        Assert.Equal(("db", "cdc", "u", "p"), (connection.Host, connection.Database, connection.Username, connection.Password));
    }
}

internal static class Configurations
{
    public static PipelineConfiguration Of(string listen, params string[] sources) => new()
    {
        Cluster = new ClusterConfiguration { Id = "shop-cluster" },
        Control = new ControlConfiguration { Connection = "Host=127.0.0.1;Database=cdc" },
        Sources = sources.ToDictionary(s => s, Source),
        Sinks = new Dictionary<string, SinkConfiguration>(),
        Routes = [],
        Gateway = new GatewayConfiguration { Listen = new Uri(listen) },
    };

    public static SourceConfiguration Source(string name) => new()
    {
        Name = name,
        Connection = "Host=127.0.0.1",
        Slot = "cdc_" + name,
        Publication = "pub_" + name,
        Tables = [new TableSelection { Pattern = "public.*" }],
    };
}
