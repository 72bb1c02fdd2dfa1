using System.CommandLine;
using System.Text.Json;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary>What the commands for replays and for backfills have in common: both run for long, and people look at them and decide about them.</summary>
/// <param name="path">The path in the API.</param>
/// <param name="name">The name of one of them.</param>
/// <param name="columns">The columns of a table of one of them, besides its name, its keys, its state and the rows that are done.</param>
internal sealed class RunCommands(string path, string name, params (string Title, Func<JsonElement, string> Value)[] columns)
{
    /// <summary>Time between two looks at something that is waited for.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(500);

    /// <summary>The path in the API.</summary>
    public string Path => path;

    /// <summary>The plural of the name, as in the API's path.</summary>
    private string Names => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>Creates the group of the commands.</summary>
    /// <param name="description">What they are for.</param>
    /// <param name="list">Columns of a list, besides the id, the source and those from the tables on.</param>
    /// <param name="start">The command that starts one.</param>
    public Command Group(string description, (string Title, Func<JsonElement, string> Value)[] list, Command start)
    {
        var group = new Command(Names, description) { Api, Json };
        foreach (var command in (Command[])[
            List(list), Show(), start, Decide("pause", $"Pauses a {name}."), Decide("resume", $"Goes on with a paused {name}."), Decide("cancel", $"Ends a {name}.")])
            group.Subcommands.Add(command);
        return group;
    }

    /// <summary>Waits until one has ended, and shows the progress.</summary>
    /// <exception cref="ApiRefusedException">It was cancelled, or failed; or the gateway does not answer.</exception>
    public async Task<JsonElement> UntilEnded(ApiClient api, JsonElement run, CancellationToken cancellation)
    {
        // A bar where there is a terminal; otherwise a line now and then. Both go to the error output, so that --json stays JSON.
        if (Console.IsErrorRedirected)
        {
            var shown = "";
            while (IsOpen(run))
            {
                var line = $"{Text(run, "state")}: {Text(run, "rowsDone")} of about {Text(run, "rowsTotal")} rows{(Note(run) is { Length: > 0 } note ? $", {OneLine(note)}" : "")}";
                if (line != shown)
                    await Console.Error.WriteLineAsync(shown = line);
                run = await Again(api, run, cancellation);
            }
        }
        else
        {
            run = await RunBar.Run(run, Figures, r => Again(api, r, cancellation), IsOpen);
        }

        if (Text(run, "state") != "done")
            throw new ApiRefusedException($"{Capital(name)} {Text(run, "id")} is {Text(run, "state")}{(Note(run) is { Length: > 0 } why ? $": {OneLine(why)}" : ".")}", isRequest: false);
        return run;
    }

    /// <summary>Prints one.</summary>
    public void Print(JsonElement run)
    {
        foreach (var member in run.EnumerateObject().Where(m => m.Name != "tables"))
            Console.WriteLine($"{member.Name + ":",-15} {OneLine(Text(run, member.Name))}");
        Console.WriteLine();
        Table(
            run.GetProperty("tables"),
            [
                ("TABLE", i => Text(i, "table")), ("KEYS", i => Text(i, "keys")), ("STATE", i => i.GetProperty("done").GetBoolean() ? "done" : "open"), ("DONE", Done), .. columns,
            ]);
    }

    /// <summary>The tables that are meant.</summary>
    public static Option<string[]> Tables() => new("--table") { Description = "A table, as schema.table; * stands for any text. May be repeated.", Required = true };

    /// <summary>The keys that are meant.</summary>
    public static Option<string[]> Keys() => new("--key") { Description = "Only the entity with this key. May be repeated." };

    /// <summary>Whether it is waited for.</summary>
    public static Option<bool> Wait() => new("--wait") { Description = "Wait until it has ended, and show the progress." };

    private Command List((string Title, Func<JsonElement, string> Value)[] more)
    {
        var after = new Option<long?>("--after") { Description = "Begin after this id: that of the last line of the page before." };
        var limit = new Option<int?>("--limit") { Description = "Most lines, 1 to 1000; 100 by default." };
        return ApiCommand.Create(
            "list", $"Lists {Names}, the newest first.",
            (api, result, cancellation) => api.Get(ApiClient.Path(path, ("after", result.GetValue(after)), ("limit", result.GetValue(limit))), cancellation),
            page =>
            {
                Table(
                    page.GetProperty(Names),
                    [
                        ("ID", i => Text(i, "id")), ("SOURCE", i => Text(i, "source")), .. more,
                        ("TABLES", i => string.Join(' ', i.GetProperty("tables").EnumerateArray().Select(t => Text(t, "table")))), ("STATE", i => Text(i, "state")), ("DONE", Done),
                        ("RATE", i => Text(i, "rate")), ("STARTED", i => Time(i, "createdAt")), ("NOTE", Note),
                    ]);
                Next(page);
            },
            after, limit);
    }

    private Command Show()
    {
        var (id, wait) = (Id(), Wait());
        return ApiCommand.Create(
            "show", $"Shows a {name}.",
            async (api, result, cancellation) =>
            {
                var run = await api.Get($"{path}/{result.GetValue(id)}", cancellation);
                return result.GetValue(wait) ? await UntilEnded(api, run, cancellation) : run;
            },
            Print, id, wait);
    }

    private Command Decide(string verb, string description)
    {
        var id = Id();
        return ApiCommand.Create(verb, description, (api, result, cancellation) => api.Post($"{path}/{result.GetValue(id)}/{verb}", [], cancellation), Print, id);
    }

    private (string Text, double Done, double Total) Figures(JsonElement run)
    {
        var done = run.GetProperty("rowsDone").GetInt64();
        var total = Text(run, "state") == "done" ? done : Math.Max(done, run.GetProperty("rowsTotal").GetInt64());
        var note = Note(run);
        return ($"{name} {Text(run, "id")} {Text(run, "state")}, {done} rows{(note.Length > 0 ? $", {OneLine(note)}" : "")}", done, total);
    }

    private async Task<JsonElement> Again(ApiClient api, JsonElement run, CancellationToken cancellation)
    {
        await Task.Delay(Look, cancellation);
        return await api.Get($"{path}/{Text(run, "id")}", cancellation);
    }

    // A paused one may wait for long, but whoever waits wants to see it go on.
    private static bool IsOpen(JsonElement run) => Text(run, "state") is "running" or "paused";

    private static string Done(JsonElement item) => $"{Text(item, "rowsDone")}/{Text(item, "rowsTotal")}";

    private static string Note(JsonElement run) => Text(run, "error") is not "-" and var error ? error : Text(run, "waiting") is not "-" and var waiting ? waiting : "";

    private static string Capital(string text) => $"{char.ToUpperInvariant(text[0])}{text[1..]}";

    private Argument<long> Id() => new("id") { Description = $"The {name}." };
}
