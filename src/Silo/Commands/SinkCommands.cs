using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>sinks</c>: looks at sinks, pauses, resumes and tests them.</summary>
internal static class SinkCommands
{
    private const string Sinks = "/api/v1/sinks";

    public static Command[] Create() => [List(), Show(), Pause(), Resume(), Test()];

    private static Command List() => ApiCommand.Create(
        "list", "Lists the sinks.",
        (api, _, cancellation) => api.Get(Sinks, cancellation),
        answer => Table(
            answer.GetProperty("sinks"), ("SINK", s => Text(s, "name")), ("TYPE", s => Text(s, "type")), ("HEALTHY", s => Text(s, "healthy")), ("PAUSED", Paused),
            ("PARKED", s => Text(s.GetProperty("parked"), "events")), ("OLDEST", Oldest), ("DEAD LETTERS", s => Text(s, "deadLetters")),
            ("OPEN CIRCUITS", s => s.GetProperty("circuits").GetArrayLength().ToString(CultureInfo.InvariantCulture)), ("LAST ERROR", LastError)));

    private static Command Show()
    {
        var sink = Sink();
        return ApiCommand.Create(
            "show", "Shows a sink: its routes with their policies, its circuits, and how it is doing for each source.",
            (api, result, cancellation) => api.Get(Path(result.GetValue(sink)!), cancellation),
            answer =>
            {
                Line("name", Text(answer, "name"));
                Line("type", Text(answer, "type"));
                Line("healthy", Text(answer, "healthy"));
                Line("paused", Paused(answer));
                Line("parked", $"{Text(answer.GetProperty("parked"), "events")} events, {Text(answer.GetProperty("parked"), "bytes")} bytes");
                Line("oldest parked", Oldest(answer));
                Line("dead letters", Text(answer, "deadLetters"));
                Console.WriteLine();
                Table(
                    answer.GetProperty("routes"), ("ROUTE FROM", r => Text(r, "from")), ("FORMAT", r => Text(r, "format")), ("INLINE", r => Seconds(Delivery(r), "inlineSeconds")),
                    ("BACKOFF", r => $"{Seconds(Delivery(r).GetProperty("backoff"), "firstSeconds")} to {Seconds(Delivery(r).GetProperty("backoff"), "mostSeconds")}"),
                    ("GIVE UP", r => GiveUp(Delivery(r).GetProperty("giveUp"))), ("POISON", r => Text(Delivery(r), "poison")), ("OUTAGE", r => Text(Delivery(r), "outage")),
                    ("SPILL BYTES", r => Text(Delivery(r), "spillBytes")));
                Console.WriteLine();
                Table(
                    answer.GetProperty("sources"), ("SOURCE", s => Text(s, "source")), ("HEALTHY", s => Text(Health(s), "healthy")), ("DELIVERED", s => Text(Health(s), "delivered")),
                    ("REFUSED", s => Text(Health(s), "refused")), ("FAILED", s => Text(Health(s), "failed")), ("WAITING", s => Text(Health(s), "waiting")),
                    ("PARKED", s => Text(Health(s), "parked")), ("HELD", s => Text(Health(s), "held")), ("LAST ERROR", s => Text(Health(s), "lastError")));
                if (answer.GetProperty("circuits").GetArrayLength() == 0)
                    return;
                Console.WriteLine();
                Table(answer.GetProperty("circuits"), ("OPEN CIRCUIT", c => Text(c, "destination")), ("SOURCE", c => Text(c, "source")), ("ERROR", c => Text(c, "error")));
            },
            sink);
    }

    private static Command Pause()
    {
        var sink = Sink();
        return ApiCommand.Create(
            "pause", "Passes nothing more to a sink until it is resumed, also after a restart.",
            (api, result, cancellation) => api.Post($"{Path(result.GetValue(sink)!)}/pause", [], cancellation),
            answer => Console.WriteLine(
                $"{OneLine(Text(answer, "sink"))} is paused{(answer.GetProperty("changed").GetBoolean() ? "" : " already")}, by {By(answer.GetProperty("paused"))}."),
            sink);
    }

    private static Command Resume()
    {
        var sink = Sink();
        return ApiCommand.Create(
            "resume", "Ends the pause of a sink. What is parked for it is delivered in order.",
            (api, result, cancellation) => api.Post($"{Path(result.GetValue(sink)!)}/resume", [], cancellation),
            answer => Console.WriteLine($"{OneLine(Text(answer, "sink"))} {(answer.GetProperty("changed").GetBoolean() ? "is resumed" : "was not paused")}."),
            sink);
    }

    private static Command Test()
    {
        var sink = Sink();
        return ApiCommand.Create(
            "test", "Asks a sink's destination whether it can be reached. Sends no event.",
            (api, result, cancellation) => api.Post($"{Path(result.GetValue(sink)!)}/test", [], cancellation),
            answer => Console.WriteLine(answer.GetProperty("ok").GetBoolean()
                ? $"{OneLine(Text(answer, "sink"))} answers, after {Text(answer, "milliseconds")} ms."
                : $"{OneLine(Text(answer, "sink"))} does not answer: {OneLine(Text(answer, "error"))}"),
            sink);
    }

    private static Argument<string> Sink() => new("sink") { Description = "Name of the sink." };

    private static string Path(string sink) => $"{Sinks}/{Uri.EscapeDataString(sink)}";

    private static void Line(string name, string value) => Console.WriteLine($"{name + ":",-15} {OneLine(value)}");

    private static JsonElement Delivery(JsonElement route) => route.GetProperty("delivery");

    private static JsonElement Health(JsonElement source) => source.GetProperty("health");

    private static string Paused(JsonElement sink) => sink.GetProperty("paused") is { ValueKind: JsonValueKind.Object } paused ? $"by {By(paused)}" : "-";

    private static string By(JsonElement paused) => OneLine($"{Text(paused, "by")} since {Time(paused, "since")}");

    private static string Oldest(JsonElement sink) => Seconds(sink.GetProperty("parked"), "oldestSeconds");

    private static string Seconds(JsonElement item, string name) => item.GetProperty(name) is { ValueKind: JsonValueKind.Number } seconds ? $"{seconds.GetRawText()} s" : "-";

    private static string GiveUp(JsonElement limits)
    {
        if (limits.ValueKind != JsonValueKind.Object)
            return "never";
        var attempts = limits.GetProperty("attempts").ValueKind == JsonValueKind.Number ? $"{limits.GetProperty("attempts").GetRawText()} attempts" : null;
        var age = limits.GetProperty("ageSeconds").ValueKind == JsonValueKind.Number ? Seconds(limits, "ageSeconds") : null;
        return string.Join(" or ", new[] { attempts, age }.OfType<string>());
    }

    private static string LastError(JsonElement sink)
    {
        foreach (var source in sink.GetProperty("sources").EnumerateArray())
        {
            if (Health(source).GetProperty("lastError").ValueKind == JsonValueKind.String)
                return Text(Health(source), "lastError");
        }

        return "-";
    }
}
