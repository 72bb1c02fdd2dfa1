using System.Buffers;
using System.IO.Hashing;
using System.Text;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Sinks;

/// <summary>Names of topics.</summary>
public static class TopicName
{
    /// <summary>Kafka's limit for the length of a topic's name.</summary>
    private const int MaxLength = 249;

    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    /// <summary>
    /// <c>source.schema.table</c> as a valid Kafka topic, in the same way as Debezium: every character outside <c>[a-zA-Z0-9._-]</c>
    /// becomes <c>_</c>. A name longer than 249 characters is cut and ends in a hash of the whole name, so that different names stay
    /// different.
    /// </summary>
    public static string For(string source, string schema, string table) => Valid($"{source}.{schema}.{table}");

    /// <summary>
    /// The topic of events that are not changes of rows: <c>source.message</c>, <c>source.transaction</c>, and, as in Debezium,
    /// <c>__debezium-heartbeat.source</c>.
    /// </summary>
    public static string ForStream(string source, TableSchema stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Valid(stream.TableId == SourceStreams.Heartbeats.TableId
            ? $"__debezium-heartbeat.{source}"
            : $"{source}.{stream.Name}");
    }

    /// <summary>Makes a name valid for Kafka, as <see cref="For"/> does.</summary>
    public static string Valid(string name)
    {
        if (name.Length <= MaxLength && !name.AsSpan().ContainsAnyExcept(Letters))
            return name;
        var hash = XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(name));
        var valid = string.Create(name.Length, name, static (span, from) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = Letters.Contains(from[i]) ? from[i] : '_';
        });
        return valid.Length <= MaxLength ? valid : $"{valid.AsSpan(0, MaxLength - 17)}_{hash:x16}";
    }
}
