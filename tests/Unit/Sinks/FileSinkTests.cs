using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.File;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

public sealed class FileSinkTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"cdc-files-{Guid.NewGuid():N}");
    private readonly List<FileSink> _sinks = [];

    [Fact]
    public async Task Events_are_lines_of_key_value_and_headers()
    {
        var delivery = new TestDelivery(
            TestDelivery.Event("shop.public.orders", "{\"id\":1}", "{\"op\":\"d\",\n \"x\":\"a\\nb\"}", 7, new KeyValuePair<string, byte[]>("own", "h\"1"u8.ToArray())),
            TestDelivery.Event("shop.public.orders", "{\"id\":1}", null, 7));

        await Deliver(Open(), delivery);

        Assert.Equal(
            """
            {"key":{"id":1},"value":{"op":"d",  "x":"a\nb"},"headers":{"cdc.id":"shop:16/B374D848:7","cdc.version":"16/B374D848/7","cdc.origin":"stream","cdc.schema":"3","own":"h\"1"}}
            {"key":{"id":1},"value":null,"headers":{"cdc.id":"shop:16/B374D848:7","cdc.version":"16/B374D848/7","cdc.origin":"stream","cdc.schema":"3"}}

            """,
            Content("shop.public.orders"));
    }

    [Fact]
    public async Task Bytes_that_are_not_json_are_base64()
    {
        var single = new SinkEvent
        {
            Topic = "t", Key = [0xff, 0x00], Value = "{\"cut\":"u8.ToArray(), Source = "shop", Version = default, Origin = EventOrigin.Replay, SchemaVersion = 1,
            Headers = [new("raw", [0xfe])],
        };

        await Deliver(Open(), new TestDelivery(single));

        using var line = JsonDocument.Parse(Content("t"));
        Assert.Equal([0xff, 0x00], line.RootElement.GetProperty("key64").GetBytesFromBase64());
        Assert.Equal("{\"cut\":"u8.ToArray(), line.RootElement.GetProperty("value64").GetBytesFromBase64());
        Assert.Equal([0xfe], line.RootElement.GetProperty("headers").GetProperty("raw64").GetBytesFromBase64());
        Assert.Equal("replay", line.RootElement.GetProperty("headers").GetProperty("cdc.origin").GetString());
    }

    [Fact]
    public async Task A_delivery_without_memory_is_accepted_later_and_those_after_it_too()
    {
        var sink = Open();
        var (starved, next) = (new StarvedDelivery(TestDelivery.Event("t", "1", "1")), new TestDelivery(TestDelivery.Event("t", "2", "2")));
        sink.Deliver(starved);
        sink.Deliver(next);
        await Task.WhenAll(starved.Completed, next.Completed).WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal(["{\"key\":1", "{\"key\":2"], Content("t").TrimEnd().Split('\n').Select(l => l[..8]));
    }

    [Theory]
    [InlineData("{\"key\":1}\n{\"key\":2,\"va", "{\"key\":1}\n")]
    [InlineData("{\"key\":1,\"torn from the fir", "")]
    [InlineData("{\"key\":1}\n", "{\"key\":1}\n")]
    public async Task Torn_last_line_is_cut_off(string left, string kept)
    {
        Directory.CreateDirectory(_folder);
        await System.IO.File.WriteAllTextAsync(Path.Combine(_folder, "t.ndjson"), left);

        await Deliver(Open(), new TestDelivery(TestDelivery.Event("t", "5", "6")));

        Assert.StartsWith(kept + "{\"key\":5,\"value\":6,", Content("t"), StringComparison.Ordinal);
        Assert.EndsWith("}\n", Content("t"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Torn_line_longer_than_a_block_is_cut_off()
    {
        Directory.CreateDirectory(_folder);
        await System.IO.File.WriteAllTextAsync(Path.Combine(_folder, "t.ndjson"), "1\n" + new string('x', 200_000));

        await Deliver(Open(), new TestDelivery(TestDelivery.Event("t", "5", "6")));

        Assert.StartsWith("1\n{\"key\":5,", Content("t"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Folder_that_cannot_be_written_fails_events_for_now_until_it_can()
    {
        await System.IO.File.WriteAllTextAsync(_folder, "a file where the folder should be");
        var sink = Open();
        SinkEvent[] events = [TestDelivery.Event("t", "1", "2"), TestDelivery.Event("t", "1", "3")];
        await Deliver(sink, new TestDelivery(events));

        Assert.All(events, e => Assert.True(e.Failure is { IsFinal: false, Scope: FailureScope.Destination, Destination: "t" }));
        Assert.Contains(_folder, events[0].Failure!.Error, StringComparison.Ordinal);
        Assert.True(sink.Status is { Healthy: false, Waiting: 0, Failed: 2, Delivered: 0 });

        System.IO.File.Delete(_folder);
        await Deliver(sink, new TestDelivery(TestDelivery.Event("t", "1", "2"), TestDelivery.Event("t", "1", "3")));

        Assert.Equal(2, Content("t").Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.True(sink.Status is { Healthy: true, Waiting: 0, Delivered: 2 });
    }

    [Fact]
    public async Task Topic_that_cannot_be_written_fails_its_own_events_alone()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "bad.ndjson"));
        var sink = Open();
        var bad = TestDelivery.Event("bad", "1", "2");
        var good = TestDelivery.Event("good", "2", "2");

        await Deliver(sink, new TestDelivery(bad));
        await Deliver(sink, new TestDelivery(good));

        Assert.NotNull(bad.Failure);
        Assert.Null(good.Failure);
        Directory.Delete(Path.Combine(_folder, "bad.ndjson"));
        await Deliver(sink, new TestDelivery(TestDelivery.Event("bad", "1", "2")));
        Assert.True(sink.Status.Healthy);
    }

    [Fact]
    public async Task Many_deliveries_keep_their_order_and_survive_the_file_being_moved_away()
    {
        var sink = Open();
        var first = Enumerable.Range(0, 5000).Select(i => new TestDelivery(TestDelivery.Event("t", "1", $"{i}"))).ToList();
        first.ForEach(sink.Deliver);
        await Task.WhenAll(first.Select(d => d.Completed)).WaitAsync(Patience);
        System.IO.File.Move(Path.Combine(_folder, "t.ndjson"), Path.Combine(_folder, "rotated"));
        await Deliver(sink, new TestDelivery(TestDelivery.Event("t", "1", "5000")));

        var values = System.IO.File.ReadLines(Path.Combine(_folder, "rotated")).Concat(System.IO.File.ReadLines(Path.Combine(_folder, "t.ndjson")))
            .Select(l => JsonDocument.Parse(l).RootElement.GetProperty("value").GetInt32());
        Assert.Equal(Enumerable.Range(0, 5001), values);
    }

    [Fact]
    public async Task Two_sinks_share_a_folder_without_a_broken_line()
    {
        FileSink[] sinks = [Open(), Open()];
        var deliveries = Enumerable.Range(0, 400).Select(i => new TestDelivery(TestDelivery.Event("t", "1", $"{i}"))).ToList();
        for (var i = 0; i < deliveries.Count; i++)
            sinks[i % 2].Deliver(deliveries[i]);
        await Task.WhenAll(deliveries.Select(d => d.Completed)).WaitAsync(Patience);

        var values = System.IO.File.ReadLines(Path.Combine(_folder, "t.ndjson")).Select(l => JsonDocument.Parse(l).RootElement.GetProperty("value").GetInt32());
        Assert.Equal(Enumerable.Range(0, 400), values.Order());
    }

    [Theory]
    [InlineData("shop.public.orders", "shop.public.orders.ndjson")]
    [InlineData("../up", "%2E.%2Fup.ndjson")]
    [InlineData("a/b\\c:é", "a%2Fb%5Cc%3A%C3%A9.ndjson")]
    public void Names_of_files_stay_in_the_folder(string topic, string file) => Assert.Equal(file, FileName.For(topic));

    [Fact]
    public void Long_topics_have_files_of_their_own()
    {
        var one = FileName.For(new string('é', 200) + "1");
        Assert.True(one.Length <= 207);
        Assert.NotEqual(one, FileName.For(new string('é', 200) + "2"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sink in _sinks)
            await sink.DisposeAsync();
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        System.IO.File.Delete(_folder);
    }

    private FileSink Open()
    {
        var sink = new FileSink(new FileSinkConfiguration { Name = "files", Directory = _folder }, TimeProvider.System, NullLogger.Instance);
        _sinks.Add(sink);
        return sink;
    }

    private static async Task Deliver(FileSink sink, TestDelivery delivery)
    {
        sink.Deliver(delivery);
        await delivery.Completed.WaitAsync(Patience);
    }

    private string Content(string topic) => System.IO.File.ReadAllText(Path.Combine(_folder, FileName.For(topic)), Encoding.UTF8);

    private static async Task Until(Func<bool> condition)
    {
        var deadline = DateTime.UtcNow + Patience;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, "The sink did not get there in time.");
            await Task.Delay(10);
        }
    }

    /// <summary>A delivery whose events cannot be read twice, after the sink has counted them.</summary>
    private sealed class StarvedDelivery(SinkEvent single) : Delivery
    {
        private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _read;

        public Task Completed => _completed.Task;

        public override IReadOnlyList<SinkEvent> Events => ++_read is 2 or 3 ? throw new OutOfMemoryException() : [single];

        public override void Complete() => _completed.SetResult();
    }
}
