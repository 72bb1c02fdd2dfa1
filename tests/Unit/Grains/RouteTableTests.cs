using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Testing.Pipeline;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>What becomes of the routes of a table.</summary>
public sealed class RouteTableTests
{
    [Fact]
    public void Routes_of_the_same_format_have_one_output_and_each_sink_the_policy_of_its_route()
    {
        var outlets = ((string[])["a", "b", "c"]).ToDictionary(
            name => name, name => new Outlet("shop", new TestSink { Name = name }, TimeProvider.System, NullLogger.Instance));
        var routes = new RouteTable(
            new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] },
            [Route("a", "test", 1), Route("b", "other", 2), Route("c", "test", 3)],
            outlets,
            [new TestFormat(), new OtherFormat()]);

        var outputs = routes.Plan(Sample.Orders).Outputs;

        Assert.Equal(
            ["test: a 1, c 3", "other: b 2"],
            outputs.Select(o => $"{o.Format.Name}: {string.Join(", ", o.Targets.Select(t => $"{t.Outlet.Name} {t.Policy.Inline.TotalSeconds:0}"))}"));
    }

    private static RouteConfiguration Route(string sink, string format, int inline) => new()
    {
        From = "*",
        To = [sink],
        Format = format,
        Delivery = new Dictionary<string, DeliveryPolicy> { [sink] = DeliveryPolicy.Default with { Inline = TimeSpan.FromSeconds(inline) } },
    };

    private sealed class OtherFormat : IEventFormat
    {
        public string Name => "other";

        public void Format(in CompletedChange change, ICollection<SinkEvent> events) => throw new NotSupportedException();
    }
}
