using CdcOrleans.Model.Sinks;
using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>What an error of one event means for it.</summary>
internal enum KafkaVerdict
{
    /// <summary>The sink can try again by itself: the client lost its producer, its room, its memory or a confirmation, not the destination.</summary>
    Again,

    /// <summary>
    /// The broker refused the batch of the event. The event must be sent in a batch of its own, and then gets its own verdict.
    /// </summary>
    Alone,

    /// <summary>It fails for now.</summary>
    Fail,

    /// <summary>It never succeeds.</summary>
    Refuse,
}

internal static class KafkaErrors
{
    /// <summary>
    /// The client reports an event as written, but without an offset. No broker has confirmed the event: a later batch of its partition was
    /// written, and the client concludes that the earlier ones were, too. In a partition without earlier records of this producer this
    /// can be wrong, because a broker then accepts any batch as the first one (KAFKA-15591). So the event is sent again.
    /// </summary>
    public static readonly Error NotConfirmed = new(ErrorCode.Local_Inconsistent, "The broker has not confirmed an event that may be written");

    /// <summary>The process lacks memory to pass an event to the client. That is no fault of the event, nor of the destination.</summary>
    public static readonly Error NoMemory = new(ErrorCode.Local_CritSysResource, "The process lacks memory");

    /// <summary>Judges an error.</summary>
    /// <param name="code">The error.</param>
    /// <param name="alone">Whether the event is known to be the error's only cause.</param>
    public static KafkaVerdict Judge(ErrorCode code, bool alone) => code switch
    {
        ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidMsgSize or ErrorCode.InvalidRecord
            or ErrorCode.InvalidTimestamp or ErrorCode.PolicyViolation or ErrorCode.UnsupportedForMessageFormat =>
            alone ? KafkaVerdict.Refuse : KafkaVerdict.Alone,
        ErrorCode.TopicException or ErrorCode.Local_InvalidArg => KafkaVerdict.Refuse,
        ErrorCode.Local_QueueFull or ErrorCode.Local_Inconsistent or ErrorCode.Local_Destroy or ErrorCode.Local_CritSysResource =>
            KafkaVerdict.Again,
        _ => IsOfBrokenProducer(code) ? KafkaVerdict.Again : KafkaVerdict.Fail,
    };

    /// <summary>Whether an error only says that the producer failed fatally. The fatal error itself was reported before.</summary>
    public static bool IsOfBrokenProducer(ErrorCode code) =>
        code is ErrorCode.Local_PurgeQueue or ErrorCode.Local_PurgeInflight or ErrorCode.Local_Fatal;

    /// <summary>Whether an error says that a topic does not exist.</summary>
    public static bool IsMissingTopic(ErrorCode code) => code is ErrorCode.UnknownTopicOrPart or ErrorCode.Local_UnknownTopic or ErrorCode.Local_UnknownPartition;

    /// <summary>Returns the outcome of an event that failed: what it concerns, the reason and the remedy.</summary>
    public static DeliveryFailure Outcome(string topic, int size, Error error, KafkaVerdict verdict)
    {
        var text = Describe(topic, size, error);
        if (verdict == KafkaVerdict.Refuse)
            return DeliveryFailure.Refused(text);
        return IsOfSink(error.Code) ? DeliveryFailure.OfSink(text) : DeliveryFailure.OfDestination(topic, text);
    }

    private static bool IsOfSink(ErrorCode code) => code is ErrorCode.Local_AllBrokersDown or ErrorCode.Local_Authentication or ErrorCode.Local_Ssl
        or ErrorCode.Local_Transport or ErrorCode.Local_Resolve or ErrorCode.SaslAuthenticationFailed or ErrorCode.ClusterAuthorizationFailed
        or ErrorCode.UnsupportedSaslMechanism or ErrorCode.IllegalSaslState or ErrorCode.BrokerNotAvailable or ErrorCode.NetworkException;

    private static string Describe(string topic, int size, Error error) => error.Code switch
    {
        ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidMsgSize =>
            $"An event of {size} bytes is larger than topic '{topic}' takes. Raise the topic's max.message.bytes and the sink's option message.max.bytes.",
        ErrorCode.TopicException =>
            $"'{topic}' is not a valid name of a topic at this broker ({error.Reason}).",
        ErrorCode.TopicAuthorizationFailed =>
            $"The sink may not write to topic '{topic}'. Grant it WRITE there.",
        ErrorCode.UnknownTopicOrPart or ErrorCode.Local_UnknownTopic or ErrorCode.Local_UnknownPartition =>
            $"Topic '{topic}' does not exist. Create it, or set the sink's create_topics.",
        ErrorCode.NotEnoughReplicas or ErrorCode.NotEnoughReplicasAfterAppend =>
            $"Topic '{topic}' has fewer in-sync replicas than its min.insync.replicas. Bring its brokers back.",
        _ => $"Kafka did not accept an event for topic '{topic}': {error.Reason} ({error.Code}).",
    };
}
