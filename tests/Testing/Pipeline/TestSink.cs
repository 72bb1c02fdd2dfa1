using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging.Abstractions;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>A sink that answers when the test says so.</summary>
internal sealed class TestSink : ISink
{
    private SinkTarget? _target;

    public List<Delivery> Open { get; } = [];

    public List<SinkEvent> Answered { get; } = [];

    public Func<SinkEvent, bool> Refuse { get; set; } = _ => false;

    /// <summary>Events that fail for now.</summary>
    public Func<SinkEvent, DeliveryFailure?> Fails { get; set; } = _ => null;

    /// <summary>The destination of an event within the sink.</summary>
    public Func<SinkEvent, string> Destination { get; set; } = e => e.Topic;

    /// <summary>Deliveries that make the sink throw.</summary>
    public Func<Delivery, bool> Throws { get; set; } = _ => false;

    /// <summary>Called before a delivery is accepted; may throw.</summary>
    public Action<Delivery> Before { get; set; } = _ => { };

    public Action AfterAnswer { get; set; } = () => { };

    public string Name { get; init; } = "sink";

    public SinkStatus Status => new() { Name = Name, Type = "test", Healthy = true, Delivered = 0, Refused = 0, Failed = 0, Waiting = 0 };

    public Task<string?> Test(TimeSpan limit, CancellationToken cancellation) => Task.FromResult<string?>(null);

    public string DestinationOf(SinkEvent sent) => Destination(sent);

    public void Deliver(Delivery delivery)
    {
        if (delivery.Events.Count == 0)
            throw new InvalidOperationException("A delivery without an event.");
        if (Throws(delivery))
            throw new InvalidOperationException("broken sink");
        Before(delivery);
        Open.Add(delivery);
    }

    /// <summary>The sink as the target of a route.</summary>
    public SinkTarget Target => _target ??= new SinkTarget(new Outlet("shop", this, TimeProvider.System, NullLogger.Instance), DeliveryPolicy.Default);

    /// <summary>Answers those of the open deliveries that something is true of.</summary>
    public void Answer(Func<Delivery, bool> which)
    {
        foreach (var delivery in Open.Where(which).ToArray())
            Answer(delivery);
    }

    public void AnswerOne(int pick)
    {
        if (Open.Count > 0)
            Answer(Open[pick % Open.Count]);
    }

    public ValueTask DisposeAsync() => default;

    private void Answer(Delivery delivery)
    {
        if (!Open.Remove(delivery))
            return;
        var failed = new HashSet<EntityKey>();
        foreach (var made in delivery.Events)
        {
            made.Failure = Refuse(made) ? DeliveryFailure.Refused("no") : Fails(made);
            if (failed.Contains(made.Entity))
                made.Failure = DeliveryFailure.OfEvent("an earlier one failed");
            else if (made.Failure is null)
                Answered.Add(made);
            else if (!made.Failure.IsFinal)
                failed.Add(made.Entity);
        }

        delivery.Complete();
        AfterAnswer();
    }
}

/// <summary>A format whose events have the entity's key and no value; it remembers the rows before.</summary>
internal sealed class TestFormat : IEventFormat
{
    public Func<ChangeVersion, bool> Breaks { get; set; } = _ => false;

    /// <summary>Called before a change is written; may throw.</summary>
    public Action<ChangeVersion> Before { get; set; } = _ => { };

    public List<string?[]> Befores { get; } = [];

    /// <summary>What it writes of a change.</summary>
    public Func<CompletedChange, byte[]> Write { get; set; } = _ => [];

    public string Name => "test";

    void IEventFormat.Format(in CompletedChange change, ICollection<SinkEvent> events)
    {
        Before(change.Change.Version);
        if (Breaks(change.Change.Version))
            throw new InvalidDataException("broken");
        if (change.Before.IsPresent)
            Befores.Add(Sample.Values(change.Before));
        events.Add(new SinkEvent
        {
            Topic = change.Topic,
            Entity = change.Change.Entity,
            Key = System.Text.Encoding.UTF8.GetBytes(change.Change.Entity.Key),
            Value = Write(change),
            Source = change.Source,
            Version = change.Change.Version,
            Origin = change.Origin,
            SchemaVersion = 1,
        });
    }
}
