using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks.File;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

public sealed class FileRotationTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cdc-rotation-{Guid.NewGuid():N}");

    [Fact]
    public async Task A_full_file_is_closed_and_the_newest_closed_ones_are_kept_with_every_line_in_order()
    {
        await using var sink = Open(new FileRotation { Size = 2000, Keep = 1000 });
        for (var i = 0; i < 100; i++)
            await Deliver(sink, "t", i);
        var closed = Closed("t");
        Assert.All([.. closed, Current("t")], f => Assert.InRange(new FileInfo(f).Length, 1, 2000));
        Assert.Equal(Enumerable.Range(0, 100), [.. closed.SelectMany(Numbers), .. Numbers(Current("t"))]);

        await using var few = Open(new FileRotation { Size = 2000, Keep = 2 });
        for (var i = 100; i < 120; i++)
            await Deliver(few, "t", i);
        Assert.Equal(2, Closed("t").Count);
        Assert.Equal(119, Numbers(Current("t")).Last());
    }

    [Fact]
    public async Task A_file_of_an_earlier_period_is_closed_before_the_next_line()
    {
        await using var sink = Open(new FileRotation { Every = TimeSpan.FromDays(1) });
        await Deliver(sink, "t", 1);
        await Deliver(sink, "t", 2);
        Assert.Empty(Closed("t"));
        File.SetLastWriteTimeUtc(Current("t"), new DateTime(2026, 3, 1, 23, 59, 59, 5, DateTimeKind.Utc));
        await Deliver(sink, "t", 3);
        var closed = Assert.Single(Closed("t"));
        Assert.EndsWith("t~20260301T235959.005Z.ndjson", closed, StringComparison.Ordinal);
        Assert.Equal([1, 2], Numbers(closed));
        Assert.Equal([3], Numbers(Current("t")));
    }

    [Fact]
    public async Task A_torn_line_is_not_in_a_closed_file_and_a_file_of_the_same_moment_is_not_replaced()
    {
        await using var sink = Open(new FileRotation { Every = TimeSpan.FromDays(1) });
        var time = new DateTime(2026, 3, 1, 0, 0, 0, DateTimeKind.Utc);
        for (var i = 0; i < 3; i++)
        {
            await Deliver(sink, "t", i);
            await File.AppendAllTextAsync(Current("t"), "{\"key\":", TestContext.Current.CancellationToken);
            File.SetLastWriteTimeUtc(Current("t"), time);
        }

        await Deliver(sink, "t", 3);
        Assert.Equal([[0], [1], [2]], Closed("t").Select(f => Numbers(f).ToArray()));
    }

    [Fact]
    public async Task Closed_files_of_other_topics_are_left_alone()
    {
        await using var sink = Open(new FileRotation { Size = 1024, Keep = 1 });
        for (var i = 0; i < 30; i++)
        {
            await Deliver(sink, "t", i);
            await Deliver(sink, "t~20260301T235959.005Z", i);
            await Deliver(sink, "t.b", i);
        }

        Assert.Single(Closed("t"));
        Assert.Single(Closed("t.b"));
        Assert.Equal(29, Numbers(Path.Combine(_folder, "t%7E20260301T235959.005Z.ndjson")).Last());
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private FileSink Open(FileRotation rotation) =>
        new(new FileSinkConfiguration { Name = "files", Directory = _folder, Rotation = rotation }, TimeProvider.System, NullLogger.Instance);

    private static async Task Deliver(FileSink sink, string topic, int number)
    {
        var single = TestDelivery.Event(topic, "1", $"{{\"n\":{number}}}");
        var delivery = new TestDelivery(single);
        sink.Deliver(delivery);
        await delivery.Completed.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Null(single.Failure);
    }

    private string Current(string topic) => Path.Combine(_folder, $"{topic}.ndjson");

    private List<string> Closed(string topic) => [.. Directory.GetFiles(_folder, $"{topic}~*.ndjson").Order(StringComparer.Ordinal)];

    private static IEnumerable<int> Numbers(string file) =>
        File.ReadAllLines(file).Select(l => System.Text.Json.JsonDocument.Parse(l).RootElement.GetProperty("value").GetProperty("n").GetInt32());
}
