using System.Text;
using CdcOrleans.Sinks.Webhook;
using Microsoft.AspNetCore.Http;
using StandardWebhooks;
using Xunit;

namespace CdcOrleans.Unit.Sinks.Webhook;

public sealed class WebhookSecretTests
{
    // Of the tests of the reference implementations in the repository of Standard Webhooks.
    private const string Published = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Fact]
    public void The_published_example_has_its_published_signature() => Assert.Equal(
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        WebhookSecret.Read(Published)!.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}"u8));

    [Theory]
    [InlineData("shop:16/B374D848:7", "{\"name\":\"Ähre 🌾\"}")]
    [InlineData("batch:0123", "[]")]
    [InlineData("shop:0/1:1", "null")]
    public void A_receiver_with_the_library_accepts_it(string id, string body)
    {
        var timestamp = DateTimeOffset.UtcNow.ToUnixTimeSeconds().ToString();
        var headers = new HeaderDictionary
        {
            ["webhook-id"] = id, ["webhook-timestamp"] = timestamp, ["webhook-signature"] = WebhookSecret.Read(Published)!.Sign(id, timestamp, Encoding.UTF8.GetBytes(body)),
        };
        new StandardWebhook(Published).Verify(body, headers);
        Assert.ThrowsAny<Exception>(() => new StandardWebhook(Published).Verify(body + " ", headers));
    }

    [Theory]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [InlineData("whsec_")]
    [InlineData("whsec_not base64")]
    [InlineData("whsec_c2hvcnQ=")]
    [InlineData("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    public void What_is_no_secret_is_not_read(string text) => Assert.Null(WebhookSecret.Read(text));

    [Theory]
    [InlineData(23, false)]
    [InlineData(24, true)]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void Secrets_are_24_to_64_bytes(int bytes, bool isRead) =>
        Assert.Equal(isRead, WebhookSecret.Read("whsec_" + Convert.ToBase64String(new byte[bytes])) is not null);
}
