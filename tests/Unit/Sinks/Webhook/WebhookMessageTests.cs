using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Webhook;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Unit.Sinks.Webhook;

public sealed class WebhookMessageTests
{
    [Fact]
    public void A_single_event_is_its_value_and_its_headers()
    {
        var made = WebhookMessage.Single(TestDelivery.Event("shop.public.orders", "{\"id\":\"50 % é\"}", "{\"op\":\"c\"}", 7, new("cdc.op", "c"u8.ToArray()), new("own", "x"u8.ToArray())));
        Assert.Equal("shop:16/B374D848:7", made.Id);
        Assert.Equal("application/json", made.ContentType);
        Assert.Equal("{\"op\":\"c\"}", Encoding.UTF8.GetString(made.Body));
        Assert.Equal(
            [
                "cdc-id: shop:16/B374D848:7", "cdc-version: 16/B374D848/7", "cdc-origin: stream", "cdc-schema: 3", "cdc-topic: shop.public.orders",
                "cdc-key: {\"id\":\"50 %25 %C3%A9\"}", "cdc-op: c", "cdc-header-own: x",
            ],
            made.Headers.Select(h => $"{h.Key}: {h.Value}"));
        Assert.Equal("{\"id\":\"50 % é\"}", Uri.UnescapeDataString(made.Headers.First(h => h.Key == "cdc-key").Value));
    }

    [Fact]
    public void A_tombstone_is_null_and_has_an_id_of_its_own()
    {
        var tombstone = TestDelivery.Event("t", "{\"id\":1}", null, 7);
        tombstone.Part = 1;
        var made = WebhookMessage.Single(tombstone);
        Assert.Equal("null", Encoding.UTF8.GetString(made.Body));
        Assert.Equal("shop:16/B374D848:7:1", made.Id);
        Assert.Contains(new("cdc-key", "{\"id\":1}"), made.Headers);
    }

    [Fact]
    public void The_type_of_the_content_is_that_of_the_format()
    {
        var made = WebhookMessage.Single(TestDelivery.Event("t", "1", "{}", 1, new KeyValuePair<string, byte[]>("content-type", "application/cloudevents+json; charset=UTF-8"u8.ToArray())));
        Assert.Equal("application/cloudevents+json; charset=UTF-8", made.ContentType);
        Assert.DoesNotContain(made.Headers, h => h.Key.Contains("content", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Host", "cdc-header-Host")]
    [InlineData("webhook-id", "cdc-header-webhook-id")]
    [InlineData("bad name\r\n:", "cdc-header-bad-name---")]
    [InlineData("cdc.a.b", "cdc-a-b")]
    public void Names_of_headers_replace_none_of_http(string name, string sent) =>
        Assert.Contains(WebhookMessage.Single(TestDelivery.Event("t", "1", "{}", 1, new KeyValuePair<string, byte[]>(name, "a\r\nb"u8.ToArray()))).Headers, h => h.Key == sent && h.Value == "a%0D%0Ab");

    [Fact]
    public void Several_events_are_an_array()
    {
        var tombstone = TestDelivery.Event("t", "{\"id\":1}", null, 7);
        tombstone.Part = 1;
        SinkEvent[] events = [TestDelivery.Event("t", "{\"id\":1}", "{\"op\":\n\"d\"}", 7), tombstone, TestDelivery.Event("u", null, "not json", 8)];
        var made = WebhookMessage.Batch(events);
        using var array = JsonDocument.Parse(made.Body);
        Assert.Equal(
            [
                """{"id":"shop:16/B374D848:7","topic":"t","key":{"id":1},"value":{"op": "d"},"headers":{"cdc.id":"shop:16/B374D848:7","cdc.version":"16/B374D848/7","cdc.origin":"stream","cdc.schema":"3"}}""",
                """{"id":"shop:16/B374D848:7:1","topic":"t","key":{"id":1},"value":null,"headers":{"cdc.id":"shop:16/B374D848:7","cdc.version":"16/B374D848/7","cdc.origin":"stream","cdc.schema":"3"}}""",
                """{"id":"shop:16/B374D848:8","topic":"u","key":null,"value64":"bm90IGpzb24=","headers":{"cdc.id":"shop:16/B374D848:8","cdc.version":"16/B374D848/8","cdc.origin":"stream","cdc.schema":"3"}}""",
            ],
            array.RootElement.EnumerateArray().Select(e => e.GetRawText()));
    }

    [Fact]
    public void The_id_of_a_batch_is_that_of_its_events()
    {
        SinkEvent[] events = [.. Enumerable.Range(0, 4).Select(i => TestDelivery.Event("t", "1", "{}", i))];
        var whole = WebhookMessage.Batch(events).Id;
        Assert.Equal(whole, WebhookMessage.Batch(events).Id);
        Assert.NotEqual(whole, WebhookMessage.Batch(events.AsSpan(0, 3)).Id);
        Assert.NotEqual(whole, WebhookMessage.Batch([events[0], events[2], events[1], events[3]]).Id);
        Assert.DoesNotContain('.', whole);
    }
}
