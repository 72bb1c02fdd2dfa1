using System.Text.Json.Serialization;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Number of a table's events in a transaction, as in the end event.</summary>
internal sealed record TableEvents(
    [property: JsonPropertyName("data_collection")] string Table, [property: JsonPropertyName("event_count")] int Events);

[JsonSerializable(typeof(TableEvents[]))]
internal sealed partial class TableEventsJson : JsonSerializerContext;
