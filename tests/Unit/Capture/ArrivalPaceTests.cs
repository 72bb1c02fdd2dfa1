using CdcOrleans.Capture.Postgres.Replication;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class ArrivalPaceTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Pauses_while_messages_come_fast_and_the_reader_keeps_up()
    {
        var pace = new ArrivalPace(_time);
        Assert.True(Run(pace, 200, gap: TimeSpan.FromMicroseconds(20), delay: TimeSpan.FromMicroseconds(80)) > 2);
    }

    [Fact]
    public void Does_not_pause_while_messages_come_slowly()
    {
        var pace = new ArrivalPace(_time);
        Assert.Equal(0, Run(pace, 500, gap: TimeSpan.FromMilliseconds(0.4), delay: TimeSpan.FromMicroseconds(80)));
    }

    [Fact]
    public void Does_not_pause_while_the_reader_is_behind()
    {
        var pace = new ArrivalPace(_time);
        Run(pace, 64, gap: TimeSpan.FromMicroseconds(20), delay: TimeSpan.FromMicroseconds(80));
        Assert.Equal(0, Run(pace, 500, gap: TimeSpan.FromMicroseconds(20), delay: TimeSpan.FromMilliseconds(50)));
    }

    [Fact]
    public void Judges_by_differences_whatever_the_clocks_say()
    {
        var pace = new ArrivalPace(_time);
        Assert.True(Run(pace, 200, gap: TimeSpan.FromMicroseconds(20), delay: TimeSpan.FromHours(-1)) > 2);
    }

    // Messages sent at even gaps and taken a delay later.
    private int Run(ArrivalPace pace, int messages, TimeSpan gap, TimeSpan delay)
    {
        var pauses = 0;
        for (var i = 0; i < messages; i++)
        {
            _time.Advance(gap);
            pace.Taken(_time.GetUtcNow().UtcDateTime - delay, waited: false);
            if (!pace.PauseDue)
                continue;
            pauses++;
            pace.Paused();
        }

        return pauses;
    }
}
