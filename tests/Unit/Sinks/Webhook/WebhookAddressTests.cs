using System.Net;
using System.Text;
using CdcOrleans.Sinks.Webhook;
using Xunit;

namespace CdcOrleans.Unit.Sinks.Webhook;

public sealed class WebhookAddressTests
{
    [Theory]
    [InlineData("https://h/{source}/{table}", "shop.public.orders", "https://h/shop/public.orders")]
    [InlineData("https://h:8443/x/{topic}?k={v", null, null)]
    [InlineData("https://h/{topic}?key=a", "shop.public.a b/é", "https://h/shop.public.a%20b%2F%C3%A9?key=a")]
    [InlineData("https://h/{table}", "__debezium-heartbeat.shop", "https://h/__debezium-heartbeat.shop")]
    [InlineData("http://u:p%40ss@h/x", "t", "http://h/x")]
    [InlineData("http://u:p@ss@h", null, null)]
    public void Place_holders_are_replaced_and_the_user_is_no_part_of_it(string text, string? topic, string? address)
    {
        var read = WebhookAddress.Read(text, out var problem);
        Assert.Equal(topic is null, problem is not null);
        if (topic is not null)
            Assert.Equal(address, read!.For(topic, "shop").AbsoluteUri);
    }

    [Fact]
    public void The_user_is_sent_as_basic_authentication() => Assert.Equal(
        "u:p@ss", Encoding.UTF8.GetString(Convert.FromBase64String(WebhookAddress.Read("http://u:p%40ss@h/x", out _)!.Credentials!.Parameter!)));

    [Fact]
    public void What_people_see_has_no_secrets() => Assert.Equal(
        "https://h:8443/a/b", WebhookAddress.Shown(new Uri("https://user:password@h:8443/a/b?token=secret#x")));

    [Theory]
    [InlineData("h/x", "is not an address of a webhook")]
    [InlineData("ftp://h/x", "is not an address of a webhook")]
    [InlineData("https://", "is not an address of a webhook")]
    [InlineData("https://{topic}.h/x", "outside its path")]
    [InlineData("https://h/x?t={topic}", "outside its path")]
    [InlineData("https://{table}:x@h/", "outside its path")]
    [InlineData("https://h/{schema}", "is not known")]
    [InlineData("https://h/x#{topic}", "has a fragment")]
    public void Problems_are_named(string text, string problem)
    {
        Assert.Null(WebhookAddress.Read(text, out var found));
        Assert.Contains(problem, found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.8.8.8")]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.1.1")]
    [InlineData("169.254.169.254")]
    [InlineData("168.63.129.16")]
    [InlineData("100.64.0.1")]
    [InlineData("100.100.100.200")]
    [InlineData("192.0.0.192")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("fe80::1")]
    [InlineData("fe80::1%1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fc00::1")]
    [InlineData("ff02::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("::127.0.0.1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("64:ff9b:1::1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2001:0:1::1")]
    [InlineData("2001:db8::1")]
    public void Private_addresses_are_known(string address) => Assert.True(PrivateNetworks.Contain(IPAddress.Parse(address)));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("172.15.0.1")]
    [InlineData("172.32.0.1")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.1")]
    [InlineData("2606:4700::1111")]
    [InlineData("2a00:1450:4001::1")]
    [InlineData("64:ff9b::101:101")]
    [InlineData("2002:101:101::")]
    [InlineData("::ffff:1.1.1.1")]
    public void Addresses_of_the_internet_are_no_private_ones(string address) => Assert.False(PrivateNetworks.Contain(IPAddress.Parse(address)));
}
