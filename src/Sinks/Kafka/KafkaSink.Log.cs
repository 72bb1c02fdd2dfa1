using Microsoft.Extensions.Logging;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

internal sealed partial class KafkaSink
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Sink {Sink}: Kafka is out of reach, deliveries wait: {Reason} ({Code})")]
    private partial void LogDown(string sink, string reason, ErrorCode code);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sink {Sink}: Kafka takes events again")]
    private partial void LogUp(string sink);

    [LoggerMessage(Level = LogLevel.Error, Message = "Sink {Sink}: the producer failed for good, a new one takes over: {Reason} ({Code})")]
    private partial void LogFatal(string sink, string reason, ErrorCode code);

    [LoggerMessage(Level = LogLevel.Error, Message = "Sink {Sink}: events could not be sent again; the next attempt follows")]
    private partial void LogLoop(Exception exception, string sink);

    [LoggerMessage(Level = LogLevel.Information, Message = "Sink {Sink}: created topic {Topic}")]
    private partial void LogCreated(string sink, string topic);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Sink {Sink}: {Facility} {Text}")]
    private partial void LogClient(string sink, string facility, string text);
}
