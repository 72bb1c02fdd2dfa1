using System.Globalization;
using System.Text;
using System.Text.Json;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Integration.Sinks.Contract;

/// <summary>A delivery that counts how often it is answered.</summary>
internal sealed class ContractDelivery(params SinkEvent[] events) : Delivery
{
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _answers;

    public override IReadOnlyList<SinkEvent> Events => events;

    public Task Answered => _answered.Task;

    public int Answers => Volatile.Read(ref _answers);

    public override void Complete()
    {
        Interlocked.Increment(ref _answers);
        _answered.TrySetResult();
    }
}

/// <summary>An event as a destination got it: the row and the number of the event among those of the row.</summary>
internal readonly record struct Got(string Row, int Number)
{
    public static Got Of(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value);
        using var parsed = JsonDocument.ParseValue(ref reader);
        return new Got(parsed.RootElement.GetProperty("row").GetString()!, parsed.RootElement.GetProperty("n").GetInt32());
    }

    /// <summary>Makes the event of a row. A poisonous one is refused for good by every destination that can do so.</summary>
    public static SinkEvent Event(string topic, string row, int number, bool isPoison = false) => new()
    {
        Topic = topic,
        Entity = new EntityKey("public.t", row),
        Key = Encoding.UTF8.GetBytes($"{{\"row\":\"{row}\"}}"),
        Value = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"row\":\"{row}\",\"n\":{number}{(isPoison ? $",\"poison\":\"{new string('x', 30_000)}\"" : "")}}}")),
        Source = "shop",
        Version = new ChangeVersion(new Lsn(0x100), number),
        Origin = EventOrigin.Stream,
        SchemaVersion = 1,
    };
}

/// <summary>A destination as the contract needs it. What it cannot do, it says with null or false.</summary>
internal abstract class ContractRig : IAsyncDisposable
{
    /// <summary>Topic of the events.</summary>
    public abstract string Topic { get; }

    /// <summary>Opens a sink to it.</summary>
    public abstract ISink Open();

    /// <summary>The destination cannot be reached.</summary>
    public abstract Task Break();

    /// <summary>The destination can be reached again.</summary>
    public abstract Task Mend();

    /// <summary>The destination takes requests and does not answer; null when it cannot be made to.</summary>
    public virtual Func<Task>? Hang => null;

    /// <summary>Time within which a sink answers although its destination hangs; null when it waits for it.</summary>
    public virtual TimeSpan? AnswersWithin => null;

    /// <summary>Each answer takes this time from now on. Returns false when it cannot be made slow.</summary>
    public virtual bool Slow(TimeSpan time) => false;

    /// <summary>Why it never refuses an event for good; null when it refuses poisonous ones.</summary>
    public virtual string? HasNoPoison => null;

    /// <summary>Why a sink does not answer what it has when it is closed while the destination cannot be reached; null when it does.</summary>
    public virtual string? StaysSilentWhenClosed => null;

    /// <summary>How often it breaks in the test of a flapping destination.</summary>
    public virtual int Flaps => 10;

    /// <summary>What it got, in the order of each row; repetitions included.</summary>
    /// <param name="least">Number of events that it must have got.</param>
    public abstract IReadOnlyList<Got> Received(int least);

    public abstract ValueTask DisposeAsync();
}
