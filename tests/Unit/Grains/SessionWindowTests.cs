using CdcOrleans.Grains.Sources;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class SessionWindowTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task It_tells_how_long_reading_waits_for_room()
    {
        var window = new SessionWindow(1, 100, _time);
        await window.Enter(10, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(TimeSpan.Zero, window.FullFor);

        var entering = window.Enter(10, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.False(entering.IsCompleted);
        Assert.Equal(TimeSpan.FromSeconds(3), window.FullFor);

        window.Leave(1, 10);
        await entering;
        Assert.Equal(TimeSpan.Zero, window.FullFor);
    }

    [Fact]
    public async Task And_how_long_it_waits_for_all_to_leave()
    {
        var window = new SessionWindow(10, 100, _time);
        await window.Enter(10, CancellationToken.None);
        var emptied = window.WhenEmpty(CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(TimeSpan.FromSeconds(2), window.FullFor);
        window.Leave(1, 10);
        await emptied;
        Assert.Equal(TimeSpan.Zero, window.FullFor);
    }
}
