using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;
using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>
/// One delivery that a producer is sending. Its events are sent one after another without waiting. When all have an outcome, the delivery
/// is completed. If the client lost an event without the destination's fault, the delivery is sent again from that event on, so that a
/// later event is never left without an earlier one.
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
    private KafkaVerdict _verdict;
    private bool _hasTopics;

    public Shipment(KafkaSink sink, Delivery delivery)
    {
        _sink = sink;
        _delivery = delivery;
        _reported = report => Reported(0, report);
    }

    /// <summary>Topics of the events that are still to be delivered.</summary>
    public IEnumerable<string> Topics => _delivery.Events.Skip(_from).Select(_sink.TopicOf).Distinct();

    /// <summary>Number of events.</summary>
    public int Count => _delivery.Events.Count;

    /// <summary>The delivery.</summary>
    public Delivery Delivery => _delivery;

    /// <summary>Whether a broker refused a batch it was part of, so that it must be sent without company.</summary>
    public bool GoesAlone { get; private set; }

    /// <summary>Passes the events that have no outcome yet to a producer.</summary>
    public void Send(IProducer<byte[]?, byte[]?> producer)
    {
        var events = _delivery.Events;
        _failedAt = int.MaxValue;
        _failure = null;
        _verdict = default;

        // One more than the events: outcomes may arrive before all have been passed on.
        Volatile.Write(ref _outstanding, events.Count - _from + 1);
        for (var index = _from; index < events.Count; index++)
        {
            var handed = events[index].Failure is null ? Hand(producer, events[index], index) : Handed.Refused;
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

    /// <summary>Answers the delivery: what has no outcome fails for now.</summary>
    public void GiveUp(DeliveryFailure failure)
    {
        for (var index = _from; index < _delivery.Events.Count; index++)
            _delivery.Events[index].Failure ??= failure;
        _sink.Failed(this, failure);
    }

    private Handed Hand(IProducer<byte[]?, byte[]?> producer, SinkEvent single, int index)
    {
        try
        {
            var message = new Message<byte[]?, byte[]?> { Key = single.Key, Value = single.Value, Headers = KafkaHeaders.Of(single) };
            var reported = index == 0 ? _reported : ReportedOf(index);
            var topic = _sink.TopicOf(single);

            // Events without a key keep their order only if all go to one partition.
            if (single.Key is null)
                producer.Produce(new TopicPartition(topic, 0), message, reported);
            else
                producer.Produce(topic, message, reported);
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
            Failed(index, KafkaErrors.NoMemory, alone: true);
            return Handed.NotTaken;
        }
#pragma warning disable CA1031 // Events before this one are already with the producer, so this one must have an outcome as well.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            single.Failure = DeliveryFailure.Refused($"The client failed to accept the event: {failure.GetType().Name}.");
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

    // Whether the event is refused for good. Otherwise the first failed event decides what is done.
    private bool Failed(int index, Error error, bool alone)
    {
        var verdict = KafkaErrors.Judge(error.Code, alone);
        if (verdict == KafkaVerdict.Refuse)
        {
            var single = _delivery.Events[index];
            single.Failure = KafkaErrors.Outcome(_sink.TopicOf(single), single.Size, error, verdict);
            return true;
        }

        lock (_reported)
        {
            if (index < _failedAt)
            {
                _failedAt = index;
                _failure = error;
                _verdict = verdict;
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
            _sink.Complete(this);
            return;
        }

        _from = _failedAt;
        GoesAlone |= _verdict == KafkaVerdict.Alone;
        if (_verdict != KafkaVerdict.Fail)
        {
            _sink.SendAgain(this, _failure!);
        }
        else if (KafkaErrors.IsMissingTopic(_failure!.Code) && _sink.CreatesTopics && !_hasTopics)
        {
            _hasTopics = true;
            _sink.CreateTopicsAndSendAgain(this);
        }
        else
        {
            Fail(_failure);
        }
    }

    // Events after the failed one may have been written. They fail as well, because an event must not come without those before it.
    private void Fail(Error error)
    {
        var events = _delivery.Events;
        for (var index = _from; index < events.Count; index++)
            events[index].Failure ??= KafkaErrors.Outcome(_sink.TopicOf(events[index]), events[index].Size, error, KafkaVerdict.Fail);
        _sink.Failed(this, events[_from].Failure!);
    }

    private enum Handed
    {
        Taken,
        Refused,
        NotTaken,
    }
}
