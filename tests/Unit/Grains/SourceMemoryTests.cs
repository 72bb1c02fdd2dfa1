using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Configuration;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class SourceMemoryTests
{
    [Theory]
    [InlineData(null, 1, 1024, 256)]
    [InlineData(null, 2, 1024, 128)]
    [InlineData(null, 1, 24_000, 512)]
    [InlineData(null, 1, 200, 96)]
    [InlineData(64, 1, 1024, 64)]
    [InlineData(4000, 3, 1024, 4000)]
    public void By_default_a_quarter_of_the_process_is_shared_by_all_sources(int? configured, int sources, long available, long expected)
    {
        var source = new SourceConfiguration
        {
            Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [], WindowBytes = 32 << 20, MemoryBytes = (long?)configured << 20,
        };
        var memory = SourceMemory.Of(source, sources, available << 20);
        Assert.Equal(expected, memory >> 20);
        Assert.Equal(expected - 32, SourceMemory.BesideWindow(source, memory) >> 20);
    }
}
