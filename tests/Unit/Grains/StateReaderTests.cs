using CdcOrleans.Grains.Checkpoints;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class StateReaderTests
{
    [Theory]
    [InlineData(1000, 0, 1000)]
    [InlineData(1000, 1000 * 200, 1000)]
    [InlineData(1000, 1000 * 100_000, 83)]
    [InlineData(83, 83 * 200, 1000)]
    [InlineData(16, 16L * 10_000_000, 16)]
    [InlineData(1, 0, 1000)]
    public void Reads_ask_for_fewer_where_states_are_large(int keys, long bytes, int next) => Assert.Equal(next, StateReader.KeysOf(keys, bytes));
}
