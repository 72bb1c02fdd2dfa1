using System.CommandLine;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>replays</c>: the replays of the API as commands.</summary>
internal static class ReplayCommands
{
    private static readonly RunCommands Replays = new(
        "/api/v1/replays", "replay", ("SENT", i => Text(i, "sent")), ("ABSENT", i => Text(i, "absent")), ("WITHOUT ROW", i => Text(i, "withoutRow")),
        ("PARKED", i => Text(i, "parked")), ("DEAD LETTERS", i => Text(i, "deadLetters")));

    public static Command Create() => Replays.Group(
        "Rows or past changes that are sent again to one sink, from what is stored: no table is read.", [("SINK", i => Text(i, "sink"))], Start());

    private static Command Start()
    {
        var source = new Option<string>("--source") { Description = "The source whose rows are sent.", Required = true };
        var sink = new Option<string>("--sink") { Description = "The sink that gets them.", Required = true };
        var (tables, keys, wait) = (RunCommands.Tables(), RunCommands.Keys(), RunCommands.Wait());
        var from = new Option<string>("--from") { Description = "Where the rows come from: held, the current row of each entity; journal, past changes.", DefaultValueFactory = _ => "held" };
        var since = new Option<string?>("--since") { Description = "With journal: changes from this time (2026-01-31T12:00:00Z) or LSN on." };
        var until = new Option<string?>("--until") { Description = "With journal: changes before this time or LSN, and the last change of each entity." };
        var rate = new Option<int?>("--rate") { Description = "Most rows per second, 1 to 100000; 2000 by default." };
        return ApiCommand.Create(
            "start", "Starts a replay.",
            async (api, result, cancellation) =>
            {
                var body = new Dictionary<string, object?>
                {
                    ["source"] = result.GetValue(source), ["sink"] = result.GetValue(sink), ["tables"] = result.GetValue(tables), ["from"] = result.GetValue(from),
                    ["keys"] = result.GetValue(keys) is { Length: > 0 } some ? some : null, ["rate"] = result.GetValue(rate),
                    ["since"] = result.GetValue(since), ["until"] = result.GetValue(until),
                };
                var replay = await api.Post(Replays.Path, body, cancellation);
                return result.GetValue(wait) ? await Replays.UntilEnded(api, replay, cancellation) : replay;
            },
            Replays.Print, source, sink, tables, keys, from, since, until, rate, wait);
    }
}
