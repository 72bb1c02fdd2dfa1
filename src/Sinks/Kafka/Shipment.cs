using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>
/// One delivery that a producer is sending. Its events are sent one after another without waiting. When all have an outcome, the delivery
/// is completed, or it is sent again from the first failed event on, so that a later event is never left without an earlier one.
/// </summary>
internal sealed class Shipment
{
    private readonly KafkaSink _sink;
    private readonly Delivery _delivery;
    private readonly Action<DeliveryReport<byte[]?, byte[]?>> _reported;
    private int _outstanding;
    private int _from;
    private int _failedAt;
    private Error? _failure;
    private bool _wantsToBeAlone;

    public Shipment(KafkaSink sink, Delivery delivery)
    {
        _sink = sink;
        _delivery = delivery;
        _reported = report => Reported(0, report);
    }

    /// <summary>Topics of the events that are still to be delivered.</summary>
    public IEnumerable<string> Topics => _delivery.Events.Skip(_from).Select(e => e.Topic).Distinct();

    /// <summary>Number of events.</summary>
    public int Count => _delivery.Events.Count;

    /// <summary>Whether a broker refused a batch it was part of, so that it must be sent without company.</summary>
    public bool GoesAlone { get; private set; }

    /// <summary>Hands what is still to be delivered to a producer.</summary>
    public void Send(IProducer<byte[]?, byte[]?> producer)
    {
        var events = _delivery.Events;
        _failedAt = int.MaxValue;
        _failure = null;
        _wantsToBeAlone = false;

        // One more than the events: outcomes may arrive before all have been handed over.
        Volatile.Write(ref _outstanding, events.Count - _from + 1);
        for (var index = _from; index < events.Count; index++)
        {
            var handed = events[index].Refusal is null ? Hand(producer, events[index], index) : Handed.Refused;
            if (handed == Handed.Refused)
            {
                Settle(1);
            }
            else if (handed == Handed.NotTaken)
            {
                Settle(events.Count - index);
                break;
            }
        }

        Settle(1);
    }

    /// <summary>Tells the sender that all events have an outcome.</summary>
    public void Complete()
    {
        var refused = 0;
        var events = _delivery.Events;
        for (var index = 0; index < events.Count; index++)
            refused += events[index].Refusal is null ? 0 : 1;
        _sink.Completing(Count, refused);
        _delivery.Complete();
    }

    private Handed Hand(IProducer<byte[]?, byte[]?> producer, SinkEvent single, int index)
    {
        try
        {
            var message = new Message<byte[]?, byte[]?> { Key = single.Key, Value = single.Value, Headers = KafkaHeaders.Of(single) };
            var reported = index == 0 ? _reported : ReportedOf(index);
            // Events without a key keep their order only if all go to one partition.
            if (single.Key is null)
                producer.Produce(new TopicPartition(single.Topic, 0), message, reported);
            else
                producer.Produce(single.Topic, message, reported);
            return Handed.Taken;
        }
        catch (KafkaException refused)
        {
            // The client judges single events here, before any batch.
            return Failed(index, refused.Error, alone: true) ? Handed.Refused : Handed.NotTaken;
        }
        catch (ObjectDisposedException)
        {
            Failed(index, new Error(ErrorCode.Local_Destroy, "The producer was replaced."), alone: true);
            return Handed.NotTaken;
        }
        catch (Exception failure) when (Exhaustion.IsCauseOf(failure))
        {
            Failed(index, new Error(ErrorCode.Local_Fail, "The process lacks memory"), alone: true);
            return Handed.NotTaken;
        }
#pragma warning disable CA1031 // Events before this one are already with the producer, so this one must have an outcome as well.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            single.Refusal = $"The client failed to accept the event: {failure.GetType().Name}.";
            return Handed.Refused;
        }
    }

    private Action<DeliveryReport<byte[]?, byte[]?>> ReportedOf(int index) => report => Reported(index, report);

    private void Reported(int index, DeliveryReport<byte[]?, byte[]?> report)
    {
        if (report.Error.IsError)
            Failed(index, report.Error, GoesAlone);
        else if (report.Offset == Offset.Unset)
            Failed(index, KafkaErrors.NotConfirmed, alone: false);
        else
            _sink.Reached();
        Settle(1);
    }

    // Whether the event is refused for good.
    private bool Failed(int index, Error error, bool alone)
    {
        var verdict = KafkaErrors.Judge(error.Code, alone);
        if (verdict == KafkaVerdict.Refuse)
        {
            var single = _delivery.Events[index];
            single.Refusal = KafkaErrors.Describe(single.Topic, single.Size, error);
            return true;
        }

        lock (_reported)
        {
            _wantsToBeAlone |= verdict == KafkaVerdict.Alone;
            if (index < _failedAt)
            {
                _failedAt = index;
                _failure = error;
            }
        }

        return false;
    }

    private void Settle(int events)
    {
        if (Interlocked.Add(ref _outstanding, -events) != 0)
            return;
        if (_failedAt == int.MaxValue)
        {
            Complete();
            return;
        }

        _from = _failedAt;
        GoesAlone |= _wantsToBeAlone;
        _sink.SendAgain(this, _failure!);
    }

    private enum Handed
    {
        Taken,
        Refused,
        NotTaken,
    }
}
