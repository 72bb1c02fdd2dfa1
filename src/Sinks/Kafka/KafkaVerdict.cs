using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>What an error of one event means for it.</summary>
internal enum KafkaVerdict
{
    /// <summary>It may succeed later: keep the event and send it again.</summary>
    Again,

    /// <summary>
    /// The broker refused the batch of the event. The event must be sent in a batch of its own, and then gets its own verdict.
    /// </summary>
    Alone,

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

    /// <summary>Judges an error.</summary>
    /// <param name="code">The error.</param>
    /// <param name="alone">Whether the event is known to be the error's only cause.</param>
    public static KafkaVerdict Judge(ErrorCode code, bool alone) => code switch
    {
        ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidMsgSize or ErrorCode.InvalidRecord
            or ErrorCode.InvalidTimestamp or ErrorCode.PolicyViolation or ErrorCode.UnsupportedForMessageFormat =>
            alone ? KafkaVerdict.Refuse : KafkaVerdict.Alone,
        ErrorCode.TopicException or ErrorCode.TopicAuthorizationFailed or ErrorCode.Local_InvalidArg => KafkaVerdict.Refuse,
        _ => KafkaVerdict.Again,
    };

    /// <summary>A refusal in words: topic, reason, remedy.</summary>
    public static string Describe(string topic, int size, Error error) => error.Code switch
    {
        ErrorCode.MsgSizeTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidMsgSize =>
            $"An event of {size} bytes is larger than topic '{topic}' takes. Raise the topic's max.message.bytes and the sink's option message.max.bytes.",
        ErrorCode.TopicException =>
            $"'{topic}' is not a valid name of a topic at this broker ({error.Reason}).",
        ErrorCode.TopicAuthorizationFailed =>
            $"The sink may not write to topic '{topic}'. Grant it WRITE there, then redeliver the event.",
        _ => $"Kafka refused an event for topic '{topic}': {error.Reason} ({error.Code}).",
    };
}
