using System.CommandLine;
using System.Text.Json;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>dead-letters</c>, <c>parked</c>, <c>sinks</c> and <c>audit</c>: the operations of the API as commands.</summary>
internal static class OperationCommands
{
    private const string Letters = "/api/v1/dead-letters";

    public static IEnumerable<Command> Create()
    {
        yield return Group("dead-letters", "Events that could not be delivered: look at them, deliver them again, delete them.", List(), Show(), Groups(), Redeliver(), Discard());
        yield return Group("parked", "Events that wait for a sink.", ListParked(), RetryParked());
        yield return Group("sinks", "The sinks: look at them, pause, resume and test them.", SinkCommands.Create());
        yield return HistoryCommand.Create();
        yield return Group("audit", "Who changed what through the API.", ListAudit());
    }

    private static Command Group(string name, string description, params Command[] commands)
    {
        var group = new Command(name, description) { Api, Json };
        foreach (var command in commands)
            group.Subcommands.Add(command);
        return group;
    }

    private static Command List()
    {
        var (sink, source, table, key, fingerprint, after, limit) = (Sink(), Source(), TableName(), Key(), Fingerprint(), After(), Limit());
        return ApiCommand.Create(
            "list", "Lists dead letters.",
            (api, result, cancellation) => api.Get(
                ApiClient.Path(
                    Letters, ("sink", result.GetValue(sink)), ("source", result.GetValue(source)), ("table", result.GetValue(table)), ("key", result.GetValue(key)),
                    ("fingerprint", result.GetValue(fingerprint)), ("after", result.GetValue(after)), ("limit", result.GetValue(limit))),
                cancellation),
            page =>
            {
                ApiCommand.Table(
                    page.GetProperty("deadLetters"), ("ID", i => Text(i, "id")), ("SINK", i => Text(i, "sink")), ("TABLE", i => $"{Text(i, "source")}.{Text(i, "table")}"),
                    ("KEY", i => Text(i, "key")), ("ATTEMPTS", i => Text(i, "attempts")), ("LAST FAILED", i => Time(i, "lastFailedAt")),
                    ("STATE", i => i.GetProperty("redelivering").GetBoolean() ? "redelivering" : "waiting"), ("ERROR", i => Text(i, "error")));
                Next(page);
            },
            sink, source, table, key, fingerprint, after, limit);
    }

    private static Command Show()
    {
        var id = new Argument<long>("id") { Description = "The dead letter." };
        return ApiCommand.Create(
            "show", "Shows a dead letter with its event.",
            (api, result, cancellation) => api.Get($"{Letters}/{result.GetValue(id)}", cancellation),
            letter =>
            {
                foreach (var member in letter.GetProperty("deadLetter").EnumerateObject())
                    Console.WriteLine($"{member.Name + ":",-15} {Plain(member.Value)}");
                if (letter.GetProperty("event") is not { ValueKind: JsonValueKind.Object } content)
                {
                    Console.WriteLine($"{"event:",-15} {Plain(letter.GetProperty("eventNotShown"))}");
                    return;
                }

                Console.WriteLine($"{"event key:",-15} {Content(content.GetProperty("key"))}");
                Console.WriteLine($"{"event value:",-15} {Content(content.GetProperty("value"))}");
                foreach (var header in content.GetProperty("headers").EnumerateArray())
                    Console.WriteLine($"{"header:",-15} {Plain(header.GetProperty("name"))} = {Content(header.GetProperty("value"))}");
            },
            id);
    }

    private static Command Groups()
    {
        var (sink, source, table) = (Sink(), Source(), TableName());
        return ApiCommand.Create(
            "groups", "Shows what went wrong, the most frequent first.",
            (api, result, cancellation) => api.Get(
                ApiClient.Path($"{Letters}/groups", ("sink", result.GetValue(sink)), ("source", result.GetValue(source)), ("table", result.GetValue(table))), cancellation),
            groups => ApiCommand.Table(
                groups.GetProperty("groups"), ("FINGERPRINT", i => Text(i, "fingerprint")), ("COUNT", i => Text(i, "count")), ("SINK", i => Text(i, "sink")),
                ("TABLE", i => $"{Text(i, "source")}.{Text(i, "table")}"), ("FIRST FAILED", i => Time(i, "firstFailedAt")), ("LAST FAILED", i => Time(i, "lastFailedAt")),
                ("ERROR", i => Text(i, "error"))),
            sink, source, table);
    }

    private static Command Redeliver()
    {
        var (ids, fingerprint, sink) = (Ids(), Fingerprint(), Sink());
        var what = new Option<string>("--as") { Description = "What is sent: the stored event, or the entity's current row.", DefaultValueFactory = _ => "event" };
        what.AcceptOnlyFromAmong("event", "current");
        return ApiCommand.Create(
            "redeliver", "Delivers dead letters again: some by their ids, or those of a group.",
            (api, result, cancellation) => Decide(
                api, "redeliver", result.GetValue(ids)!, result.GetValue(fingerprint), result.GetValue(sink), cancellation, ("as", result.GetValue(what))),
            ShowDecision("on their way again"), ids, fingerprint, sink, what);
    }

    private static Command Discard()
    {
        var (ids, fingerprint, sink) = (Ids(), Fingerprint(), Sink());
        return ApiCommand.Create(
            "discard", "Deletes dead letters: some by their ids, or those of a group.",
            (api, result, cancellation) => Decide(api, "discard", result.GetValue(ids)!, result.GetValue(fingerprint), result.GetValue(sink), cancellation),
            ShowDecision("deleted"), ids, fingerprint, sink);
    }

    private static Command ListParked()
    {
        var (sink, source, table, key, after, limit) = (Sink(), Source(), TableName(), Key(), After(), Limit());
        return ApiCommand.Create(
            "list", "Lists entities with parked events.",
            (api, result, cancellation) => api.Get(
                ApiClient.Path(
                    "/api/v1/parked", ("sink", result.GetValue(sink)), ("source", result.GetValue(source)), ("table", result.GetValue(table)), ("key", result.GetValue(key)),
                    ("after", result.GetValue(after)), ("limit", result.GetValue(limit))),
                cancellation),
            page =>
            {
                ApiCommand.Table(
                    page.GetProperty("parked"), ("ID", i => Text(i, "id")), ("SINK", i => Text(i, "sink")), ("TABLE", i => $"{Text(i, "source")}.{Text(i, "table")}"),
                    ("KEY", i => Text(i, "key")), ("EVENTS", i => Text(i, "events")), ("BYTES", i => Text(i, "bytes")), ("ATTEMPTS", i => Text(i, "attempts")),
                    ("DUE", i => i.GetProperty("blocked").GetBoolean() ? "blocked" : Time(i, "dueAt")), ("LAST ERROR", i => Text(i, "lastError")));
                Next(page);
            },
            sink, source, table, key, after, limit);
    }

    private static Command RetryParked()
    {
        var (sink, source, table, key) = (Sink(), Source(), TableName(), Key());
        sink.Required = true;
        return ApiCommand.Create(
            "retry", "Tries parked events of a sink now.",
            (api, result, cancellation) => api.Post(
                "/api/v1/parked/retry",
                new() { ["sink"] = result.GetValue(sink), ["source"] = result.GetValue(source), ["table"] = result.GetValue(table), ["key"] = result.GetValue(key) }, cancellation),
            answer => Console.WriteLine($"{Text(answer, "entities")} entities are tried now."),
            sink, source, table, key);
    }

    private static Command ListAudit()
    {
        var (after, limit) = (After(), Limit());
        return ApiCommand.Create(
            "list", "Lists the changes through the API, the newest first.",
            (api, result, cancellation) => api.Get(ApiClient.Path("/api/v1/audit", ("after", result.GetValue(after)), ("limit", result.GetValue(limit))), cancellation),
            page =>
            {
                ApiCommand.Table(
                    page.GetProperty("entries"), ("ID", i => Text(i, "id")), ("AT", i => Time(i, "at")), ("WHO", i => Text(i, "who")), ("OPERATION", i => Text(i, "operation")),
                    ("ARGUMENTS", i => Text(i, "arguments")), ("RESULT", i => Text(i, "result")));
                Next(page);
            },
            after, limit);
    }

    // A group may be larger than what one request decides about.
    private static async Task<JsonElement> Decide(
        ApiClient api, string decision, long[] ids, string? fingerprint, string? sink, CancellationToken cancellation, params (string Name, object? Value)[] more)
    {
        var accepted = 0L;
        var refused = new List<JsonElement>();
        var unknown = new List<JsonElement>();
        var after = 0L;
        while (true)
        {
            var body = new Dictionary<string, object?> { ["ids"] = ids.Length > 0 ? ids : null, ["fingerprint"] = fingerprint, ["sink"] = sink, ["after"] = after };
            foreach (var (name, value) in more)
                body[name] = value;
            var answer = await api.Post($"{Letters}/{decision}", body, cancellation);
            accepted += answer.GetProperty("accepted").GetInt64();
            refused.AddRange(answer.GetProperty("refused").EnumerateArray());
            unknown.AddRange(answer.GetProperty("unknown").EnumerateArray());
            after = answer.GetProperty("last").GetInt64();
            if (!answer.GetProperty("hasMore").GetBoolean())
                return JsonSerializer.SerializeToElement(new { accepted, refused, unknown });
            await Console.Error.WriteLineAsync($"{accepted + refused.Count} so far");
        }
    }

    private static Action<JsonElement> ShowDecision(string what) => answer =>
    {
        Console.WriteLine($"{answer.GetProperty("accepted")} {what}.");
        foreach (var refused in answer.GetProperty("refused").EnumerateArray())
            Console.WriteLine($"{Text(refused, "id")} stays: {Text(refused, "reason")}");
        foreach (var unknown in answer.GetProperty("unknown").EnumerateArray())
            Console.WriteLine($"{unknown} does not exist.");
    };

    private static string Plain(JsonElement value) => ApiCommand.OneLine(value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText());

    private static string Content(JsonElement content) => content.ValueKind == JsonValueKind.Null
        ? "-"
        : content.GetProperty("text") is { ValueKind: JsonValueKind.String } text ? Plain(text) : $"base64 {content.GetProperty("base64").GetString()}";

    private static Argument<long[]> Ids() => new("ids") { Description = "The dead letters, 1000 at most.", Arity = ArgumentArity.ZeroOrMore };

    private static Option<string?> Sink() => new("--sink") { Description = "Only those of this sink." };

    private static Option<string?> Source() => new("--source") { Description = "Only those of this source." };

    private static Option<string?> TableName() => new("--table") { Description = "Only those of this table, as schema.table." };

    private static Option<string?> Key() => new("--key") { Description = "Only those of the entity with this key." };

    private static Option<string?> Fingerprint() => new("--fingerprint") { Description = "Only those of this group (dead-letters groups)." };

    private static Option<long?> After() => new("--after") { Description = "Begin after this id: that of the last line of the page before." };

    private static Option<int?> Limit() => new("--limit") { Description = "Most lines, 1 to 1000; 100 by default." };
}
