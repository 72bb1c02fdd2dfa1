using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>history</c>: the changes of an entity, from the journal of its table.</summary>
internal static class HistoryCommand
{
    public static Command Create()
    {
        var source = new Argument<string>("source") { Description = "The source." };
        var table = new Argument<string>("table") { Description = "The table, as schema.table." };
        var key = new Argument<string>("key") { Description = "The key in canonical text: the key columns' values, joined by commas." };
        var since = new Option<string?>("--since") { Description = "Only changes that were committed at this time (ISO 8601) or LSN, or later." };
        var until = new Option<string?>("--until") { Description = "Only changes that were committed before this time (ISO 8601) or LSN." };
        var after = new Option<string?>("--after") { Description = "Begin after this position: that of the last line of the page before." };
        var limit = new Option<int?>("--limit") { Description = "Most changes, 1 to 1000; 100 by default." };
        var command = ApiCommand.Create(
            "history", "Shows the changes of an entity, the newest first, from the journal of its table.",
            (api, result, cancellation) => api.Get(
                ApiClient.Path(
                    $"{ApiClient.Entity(result.GetValue(source)!, result.GetValue(table)!, result.GetValue(key)!)}/history",
                    ("since", result.GetValue(since)), ("until", result.GetValue(until)), ("after", result.GetValue(after)), ("limit", result.GetValue(limit))),
                cancellation),
            Show, source, table, key, since, until, after, limit);
        command.Options.Add(Api);
        command.Options.Add(Json);
        return command;
    }

    private static void Show(JsonElement page)
    {
        Table(
            page.GetProperty("changes"), ("COMMITTED", Committed), ("VERSION", c => Text(c, "version")), ("XID", c => Text(c, "xid")), ("OPERATION", c => Text(c, "operation")),
            ("CHANGE", What));
        Next(page);
    }

    private static string Committed(JsonElement change) =>
        change.GetProperty("committedAt").GetDateTimeOffset().UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    // What changed: of an update the columns, of other changes the row.
    private static string What(JsonElement change)
    {
        var differences = change.GetProperty("differences");
        var text = change.GetProperty("rowNotStored") is { ValueKind: JsonValueKind.String } reason
            ? $"(rows not shown: {reason.GetString()})"
            : Text(change, "operation") == "update" && differences.ValueKind == JsonValueKind.Array
                ? string.Join(", ", differences.EnumerateArray().Select(d => $"{Text(d, "column")}: {d.GetProperty("before").GetRawText()} -> {d.GetProperty("after").GetRawText()}"))
                : Text(change, "operation") == "delete" && differences.ValueKind == JsonValueKind.Array
                    ? string.Join(", ", differences.EnumerateArray().Select(d => $"{Text(d, "column")}: {d.GetProperty("before").GetRawText()}"))
                    : Text(change, "row");
        return change.GetProperty("otherKey") is { ValueKind: JsonValueKind.String } other
            ? $"{text} ({(Text(change, "operation") == "delete" ? "key is now" : "key was")} {other.GetString()})"
            : text;
    }
}
