using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks;
using CdcOrleans.Sinks.Kafka;
using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Unit.Sinks;

public sealed class KafkaJudgementTests
{
    [Fact]
    public void Only_what_can_never_pass_is_refused()
    {
        var refused = Enum.GetValues<ErrorCode>().Where(c => KafkaErrors.Judge(c, alone: true) == KafkaVerdict.Refuse).ToHashSet();

        Assert.Contains(ErrorCode.MsgSizeTooLarge, refused);
        Assert.Contains(ErrorCode.TopicException, refused);
        Assert.DoesNotContain(ErrorCode.TopicAuthorizationFailed, refused);
        Assert.DoesNotContain(ErrorCode.UnknownTopicOrPart, refused);
        Assert.DoesNotContain(ErrorCode.Local_Transport, refused);
        Assert.DoesNotContain(ErrorCode.ClusterAuthorizationFailed, refused);
        Assert.DoesNotContain(ErrorCode.Local_Fatal, refused);
        Assert.Equal(KafkaVerdict.Alone, KafkaErrors.Judge(ErrorCode.MsgSizeTooLarge, alone: false));
    }

    [Theory]
    [InlineData(ErrorCode.TopicAuthorizationFailed, FailureScope.Destination, "Grant it WRITE")]
    [InlineData(ErrorCode.Local_UnknownTopic, FailureScope.Destination, "create_topics")]
    [InlineData(ErrorCode.NotEnoughReplicas, FailureScope.Destination, "min.insync.replicas")]
    [InlineData(ErrorCode.SaslAuthenticationFailed, FailureScope.Sink, "orders")]
    public void What_people_can_mend_fails_for_now_and_says_what_it_concerns(ErrorCode code, FailureScope scope, string remedy)
    {
        var error = new Error(code, "reason");
        var failure = KafkaErrors.Outcome("orders", 10, error, KafkaErrors.Judge(code, alone: true));

        Assert.False(failure.IsFinal);
        Assert.Equal(scope, failure.Scope);
        Assert.Equal(scope == FailureScope.Destination ? "orders" : null, failure.Destination);
        Assert.Contains(remedy, failure.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_delivery_rests_on_are_not_to_be_changed()
    {
        var refused = Assert.Throws<ArgumentException>(() => new KafkaSettings(With("acks", "1")));
        Assert.Contains("events", refused.Message, StringComparison.Ordinal);
        Assert.Contains("acks", refused.Message, StringComparison.Ordinal);

        var unknown = Assert.Throws<ArgumentException>(() => new SinkFactory(TimeProvider.System, NullLoggerFactory.Instance).Create(With("no.such.option", "1")));
        Assert.Contains("no.such.option", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_win_over_defaults()
    {
        var settings = new KafkaSettings(With("linger.ms", "50"));

        Assert.Equal("50", settings.ForBatches()["linger.ms"]);
        Assert.Equal("murmur2_random", settings.ForBatches()["partitioner"]);
        Assert.Equal("1", settings.ForSingles()["batch.num.messages"]);
    }

    private static KafkaSinkConfiguration With(params string[] options) => new()
    {
        Name = "events",
        Bootstrap = "127.0.0.1:1",
        Options = options.Chunk(2).ToDictionary(o => o[0], o => o[1]),
    };
}
