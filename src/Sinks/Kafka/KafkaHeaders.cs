using System.Text;
using CdcOrleans.Model.Sinks;
using Confluent.Kafka;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>Makes the Kafka headers of an event. Headers that many events share are created once.</summary>
internal static class KafkaHeaders
{
    private const int SharedSchemas = 64;

    private static readonly Header[] Origins =
        [.. Enum.GetValues<EventOrigin>().Select(o => new Header(EventHeaders.Origin, Encoding.UTF8.GetBytes(EventHeaders.OriginOf(o))))];

    private static readonly Header[] Schemas =
        [.. Enumerable.Range(0, SharedSchemas).Select(NewSchema)];

    public static Headers Of(SinkEvent single)
    {
        var headers = new Headers
        {
            { EventHeaders.Id, EventHeaders.IdOf(single) },
            { EventHeaders.Version, EventHeaders.VersionOf(single) },
            Origins[(int)single.Origin],
            (uint)single.SchemaVersion < SharedSchemas ? Schemas[single.SchemaVersion] : NewSchema(single.SchemaVersion),
        };
        if (single.Headers is { } own)
        {
            foreach (var (name, value) in own)
                headers.Add(name, value);
        }

        return headers;
    }

    private static Header NewSchema(int version) => new(EventHeaders.Schema, Encoding.UTF8.GetBytes(EventHeaders.SchemaOf(version)));
}
