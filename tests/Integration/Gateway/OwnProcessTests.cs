using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using CdcOrleans.Gateway;
using CdcOrleans.Gateway.Security;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The gateway as an Orleans client, while there is no cluster.</summary>
[Collection("gateway")]
public class OwnProcessTests
{
    [Fact]
    public async Task It_answers_while_it_looks_for_the_cluster_and_stops_when_asked()
    {
        // Port 1 of the control database: nobody is there.
        await using var app = GatewayHost.Build(RunningGateway.Configuration("shop"));
        var starting = app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(await Address(app, starting)) };

        using (var live = await client.GetAsync("/health/live"))
            Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        foreach (var path in new[] { "/health/ready", "/api/v1/status", "/api/v1/sources/shop", "/api/v1/entities/shop/public.orders/1" })
        {
            using var response = await client.GetAsync(path);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
            Assert.Contains("Start a silo", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.False(starting.IsCompleted);
        app.Lifetime.StopApplication();
        var stopped = await Record.ExceptionAsync(() => starting.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.NotNull(stopped);
        Assert.IsNotType<TimeoutException>(stopped);
    }

    [Fact]
    public void A_port_that_is_taken_is_told_before_the_cluster_is_looked_for()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var listen = new Uri($"http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port}");
        Assert.Contains(listen.ToString(), ListenAddress.Taken(listen), StringComparison.Ordinal);
        other.Stop();
        Assert.Null(ListenAddress.Taken(listen));
    }

    private static async Task<string> Address(Microsoft.AspNetCore.Builder.WebApplication app, Task starting)
    {
        var until = Stopwatch.StartNew();
        while (app.Urls.FirstOrDefault() is not { } url || url.EndsWith(":0", StringComparison.Ordinal))
        {
            Assert.False(starting.IsCompleted);
            Assert.True(until.Elapsed < TimeSpan.FromSeconds(20), "no address");
            await Task.Delay(20);
        }

        return app.Urls.First();
    }
}
