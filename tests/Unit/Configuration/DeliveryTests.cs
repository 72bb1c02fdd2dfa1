using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>The policies of delivery: of a sink, and of its routes.</summary>
public sealed class DeliveryTests
{
    private const string Route = "to: events }";
    private const string Sink = "\"127.0.0.1:9092\" }";

    [Fact]
    public void Without_a_policy_the_defaults_count() =>
        Assert.Equal(DeliveryPolicy.Default, Reader.Read(Reader.Fine).Routes[0].DeliveryTo("events"));

    [Fact]
    public void A_route_replaces_what_it_gives_and_has_the_rest_from_its_sink()
    {
        var read = Reader.Read(Reader.Fine
            .Replace(Sink, """
                "127.0.0.1:9092", delivery: { inline: 5s, backoff: { first: 2s, most: 1m }, give_up: { attempts: 7 }, poison: block, outage: hold, spill: 2MB } }
                """, StringComparison.Ordinal)
            .Replace(Route, "to: events, delivery: { inline: 0, backoff: { most: 3s }, give_up: { age: 72h }, outage: spill } }", StringComparison.Ordinal));
        Assert.Equal(
            new DeliveryPolicy
            {
                Inline = TimeSpan.Zero, Backoff = new RetryPolicy(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3), Jitter: 1), GiveUpAttempts = 7,
                GiveUpAge = TimeSpan.FromDays(3), Poison = PoisonPolicy.Block, Outage = OutagePolicy.Spill, SpillBytes = 2 << 20,
            },
            read.Routes[0].DeliveryTo("events"));
    }

    [Theory]
    [InlineData("{ inlin: 2s }", "routes[0].delivery.inlin: unknown key 'inlin'")]
    [InlineData("{ inline: 6m }", "routes[0].delivery.inline: '6m' is")]
    [InlineData("{ backoff: { first: 20m } }", "routes[0].delivery.backoff.first: backoff.most is shorter than backoff.first")]
    [InlineData("{ give_up: { attempts: 0 } }", "routes[0].delivery.give_up.attempts: '0' is")]
    [InlineData("{ poison: stop }", "routes[0].delivery.poison: 'stop'")]
    [InlineData("{ outage: drop }", "routes[0].delivery.outage: 'drop'")]
    [InlineData("{ spill: 1KB }", "routes[0].delivery.spill: '1KB' is")]
    [InlineData("later", "routes[0].delivery: expected")]
    public void What_is_not_possible_is_refused_with_its_place(string delivery, string expected) =>
        Assert.Contains(expected, Reader.RefusedWith(Route, $"to: events, delivery: {delivery} }}"), StringComparison.Ordinal);

    [Fact]
    public void A_sink_named_twice_in_a_route_is_no_defect() =>
        Assert.Contains("events", Reader.RefusedWith(Route, "to: [events, events] }"), StringComparison.Ordinal);
}
