using System.Text.Json.Serialization;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>How many events of a transaction are one table's, as the transaction's end tells it.</summary>
internal sealed record TableEvents(
    [property: JsonPropertyName("data_collection")] string Table, [property: JsonPropertyName("event_count")] int Events);

[JsonSerializable(typeof(TableEvents[]))]
internal sealed partial class TableEventsJson : JsonSerializerContext;
