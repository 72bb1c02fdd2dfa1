using System.CommandLine;
using System.Text.Json;
using static CdcOrleans.Silo.Commands.ApiCommand;

namespace CdcOrleans.Silo.Commands;

/// <summary><c>backfills</c> and <c>reread</c>: the backfills of the API as commands.</summary>
internal static class BackfillCommands
{
    private static readonly RunCommands Backfills = new(
        "/api/v1/backfills", "backfill", ("SENT", i => Text(i, "sent")), ("UNCHANGED", i => Text(i, "unchanged")), ("CREATED", i => Text(i, "created")),
        ("UPDATED", i => Text(i, "updated")), ("DELETED", i => Text(i, "deleted")), ("PARKED", i => Text(i, "parked")), ("DEAD LETTERS", i => Text(i, "deadLetters")),
        ("WHERE", i => Text(i, "where")));

    public static IEnumerable<Command> Create()
    {
        yield return Backfills.Group(
            "Existing rows that are read at the source, while changes go on.", [("KIND", i => Text(i, "kind"))], Start());
        yield return Reread();
    }

    private static Command Start()
    {
        var source = new Option<string>("--source") { Description = "The source whose rows are read.", Required = true };
        var (tables, keys, wait) = (RunCommands.Tables(), RunCommands.Keys(), RunCommands.Wait());
        var where = new Option<string?>("--where") { Description = "Only rows that meet this condition in SQL, as after WHERE." };
        var repair = new Option<bool>("--repair") { Description = "Only what differs from the stored rows becomes an event; rows that do not exist any more too." };
        var verify = new Option<bool>("--verify") { Description = "What differs from the stored rows is counted, and nothing is changed or sent." };
        var rate = new Option<int?>("--rate") { Description = "Most rows per second, 1 to 1000000; no limit by default." };
        var command = ApiCommand.Create(
            "start", "Starts a backfill.",
            async (api, result, cancellation) =>
            {
                var body = new Dictionary<string, object?>
                {
                    ["source"] = result.GetValue(source), ["tables"] = result.GetValue(tables), ["keys"] = result.GetValue(keys) is { Length: > 0 } some ? some : null,
                    ["where"] = result.GetValue(where), ["kind"] = result.GetValue(repair) ? "repair" : result.GetValue(verify) ? "verify" : "rows", ["rate"] = result.GetValue(rate),
                };
                return await Started(api, await api.Post(Backfills.Path, body, cancellation), result.GetValue(wait), cancellation);
            },
            Backfills.Print, source, tables, keys, where, repair, verify, rate, wait);
        command.Validators.Add(result =>
        {
            if (result.GetValue(repair) && result.GetValue(verify))
                result.AddError("--repair and --verify exclude each other: write one of them.");
        });
        return command;
    }

    private static Command Reread()
    {
        var source = new Argument<string>("source") { Description = "The source." };
        var table = new Argument<string>("table") { Description = "The table, as schema.table." };
        var key = new Argument<string>("key") { Description = "The key in canonical text: the key columns' values, joined by commas." };
        var wait = RunCommands.Wait();
        var command = ApiCommand.Create(
            "reread", "Reads the row of an entity again at the source.",
            async (api, result, cancellation) => await Started(
                api, await api.Post($"{ApiClient.Entity(result.GetValue(source)!, result.GetValue(table)!, result.GetValue(key)!)}/reread", [], cancellation),
                result.GetValue(wait), cancellation),
            Backfills.Print, source, table, key, wait);
        command.Options.Add(Api);
        command.Options.Add(Json);
        return command;
    }

    private static Task<JsonElement> Started(ApiClient api, JsonElement backfill, bool isWaitedFor, CancellationToken cancellation) =>
        isWaitedFor ? Backfills.UntilEnded(api, backfill, cancellation) : Task.FromResult(backfill);
}
