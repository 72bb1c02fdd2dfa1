using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Testing;

/// <summary>A delivery that a test waits for.</summary>
public sealed class TestDelivery(params SinkEvent[] events) : Delivery
{
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override IReadOnlyList<SinkEvent> Events => events;

    public Task Completed => _completed.Task;

    // Throws when completed a second time.
    public override void Complete() => _completed.SetResult();

    public static SinkEvent Event(string topic, string? key, string? value, long ordinal = 1, params KeyValuePair<string, byte[]>[] headers) => new()
    {
        Topic = topic,
        Key = key is null ? null : Encoding.UTF8.GetBytes(key),
        Value = value is null ? null : Encoding.UTF8.GetBytes(value),
        Source = "shop",
        Version = new ChangeVersion(new Lsn(0x16_B374D848), ordinal),
        Origin = EventOrigin.Stream,
        SchemaVersion = 3,
        Headers = headers.Length == 0 ? null : headers,
    };
}
