using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>The commands for replays, as processes, against a real silo and its gateway: what they do, what they print, and their exit codes.</summary>
public sealed class ReplayCommandTests(PostgresFixture postgres) : IAsyncLifetime
{
    private const int Rows = 300;

    // A replay of all rows takes long enough to be decided about, and one that is waited for does not take long.
    private const string Slow = "replays start --source shop --sink search --table public.items --rate 20";
    private const string Fast = "replays start --source shop --sink search --table public.* --rate 10000";

    private Pipeline _pipeline = null!;
    private SiloProcess _silo = null!;

    public async ValueTask InitializeAsync()
    {
        _pipeline = await Pipeline.Create(
            postgres.Server, "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE others (id int PRIMARY KEY)",
            sinks: "out: { type: file, directory: ./out }\nsearch: { type: file, directory: ./search }",
            routes: """- { from: "shop.public.*", to: [out, search], format: debezium }""");
        _silo = await _pipeline.Run();
        await PostgresServer.Execute(_pipeline.Database, $"INSERT INTO items SELECT i, i FROM generate_series(1, {Rows}) i; INSERT INTO others VALUES (1)");
        await _pipeline.Drained(_silo);
    }

    public async ValueTask DisposeAsync()
    {
        await _silo.DisposeAsync();
        await _pipeline.DisposeAsync();
    }

    [Fact]
    public async Task A_replay_is_started_paused_resumed_and_cancelled()
    {
        var started = await Json(Slow);
        var id = started.GetProperty("id").GetInt64();
        Assert.Equal(
            ("running", "shop", "search", "held", 20, Rows),
            (Text(started, "state"), Text(started, "source"), Text(started, "sink"), Text(started, "from"), started.GetProperty("rate").GetInt32(), started.GetProperty("rowsTotal").GetInt32()));

        // Another one of the table to the sink is refused.
        await Refused(2, $"Replay {id} of shop.public.items to sink 'search' is running.", Slow);

        Assert.Matches(new Regex(@"^state: +paused\r?$", RegexOptions.Multiline), await Output($"replays pause {id}"));
        await Refused(2, $"Replay {id} is paused. To pause it, it must be running.", $"replays pause {id}");
        await Shown(id, "paused");
        Assert.Equal("running", Text(await Json($"replays resume {id}"), "state"));
        var cancelled = await Json($"replays cancel {id}");
        Assert.Equal("cancelled", Text(cancelled, "state"));
        Assert.InRange(cancelled.GetProperty("rowsDone").GetInt32(), 0, Rows - 1);
        await Refused(2, $"Replay {id} is cancelled. To resume it, it must be paused.", $"replays resume {id}");
        await Refused(2, $"Replay {id} is cancelled. To cancel it, it must be running or paused.", $"replays cancel {id}");
        await Shown(id, "cancelled");
    }

    [Fact]
    public async Task Who_waits_for_a_replay_sees_its_progress_and_gets_its_end()
    {
        var begin = _pipeline.Events("items", "search").Count;
        var waited = await Run(Fast + " --wait --json");
        Assert.Equal(0, waited.ExitCode);
        var done = JsonElement.Parse(waited.Output);
        Assert.Equal(("done", Rows + 1), (Text(done, "state"), done.GetProperty("rowsDone").GetInt32()));
        Assert.Contains(Lines(waited.Error), l => Regex.IsMatch(l, $"^running: [0-9]+ of about {Rows + 1} rows"));
        Assert.Equal(
            Enumerable.Range(1, Rows), _pipeline.Events("items", "search").Skip(begin).Where(e => e.Op == "r").Select(e => e.After.GetProperty("id").GetInt32()).Distinct().Order());

        // Single rows, and a table for people.
        var some = Lines(await Output("replays start --source shop --sink search --table public.items --key 7 --key 8 --key 9999 --wait"));
        Assert.Contains(some, l => Regex.IsMatch(l, "^state: +done$"));
        Assert.Equal(["TABLE         KEYS  STATE  DONE  SENT  ABSENT  WITHOUT ROW  PARKED  DEAD LETTERS", "public.items  3     done   3/3   2     1       0            0       0"], some[^2..]);

        // One that ends otherwise is a failure, for whoever started it and for whoever looks at it.
        var starting = Run(Slow + " --wait");
        var id = await Running();
        var showing = Run(string.Create(CultureInfo.InvariantCulture, $"replays show {id} --wait"));
        await _silo.Until(async () => (await Replay(id)).GetProperty("rowsDone").GetInt64() > 20, "to send some rows");
        Assert.False(starting.IsCompleted);
        await Output($"replays cancel {id}");
        foreach (var ended in (ProductCommand[])[await starting, await showing])
        {
            Assert.Equal((1, ""), (ended.ExitCode, ended.Output));
            Assert.Contains($"Replay {id} is cancelled.", ended.Error, StringComparison.Ordinal);
        }

        Assert.Matches(new Regex(@"^state: +done\r?$", RegexOptions.Multiline), await Output($"replays show {done.GetProperty("id")} --wait"));
    }

    [Fact]
    public async Task Lists_are_for_people_or_the_answer_of_the_gateway_and_what_is_refused_is_said_on_the_error_output()
    {
        Assert.Equal("ID  SOURCE  SINK  TABLES  STATE  DONE  RATE  STARTED  NOTE\n(none)", string.Join('\n', Lines(await Output("replays list"))));
        foreach (var sink in (string[])["search", "out"])
            await Output($"replays start --source shop --sink {sink} --table public.others --wait");
        var listed = Lines(await Output("replays list"));
        Assert.Equal(3, listed.Count);
        Assert.Matches("^ID +SOURCE +SINK +TABLES +STATE +DONE +RATE +STARTED +NOTE$", listed[0]);
        Assert.Matches("^[0-9]+ +shop +out +public.others +done +1/1 +2000 +20[-0-9]+ [:0-9]+Z$", listed[1]);
        Assert.Matches("^[0-9]+ +shop +search +public.others +done +1/1 +2000 +20[-0-9]+ [:0-9]+Z$", listed[2]);
        var first = Lines(await Output("replays list --limit 1"));
        Assert.Equal(listed[1].Split(' ')[0], Regex.Match(first[^1], "^There is more: --after ([0-9]+)$").Groups[1].Value);
        Assert.Equal(listed[2].Split(' ')[0], Lines(await Output($"replays list --after {listed[1].Split(' ')[0]}"))[1].Split(' ')[0]);
        await SameAs("api/v1/replays", "replays list");
        await SameAs($"api/v1/replays/{listed[1].Split(' ')[0]}", $"replays show {listed[1].Split(' ')[0]}");

        await Refused(2, "There is no replay 999", "replays show 999");
        await Refused(2, "There is no replay 999", "replays pause 999");
        await Refused(2, "'limit'", "replays list --limit 0");
        await Refused(2, "'nope'", "replays start --source nope --sink search --table public.items");
        await Refused(2, "There is no sink 'nope'", "replays start --source shop --sink nope --table public.items");
        await Refused(2, "public.nope", "replays start --source shop --sink search --table public.nope");
        await Refused(2, "'rate'", "replays start --source shop --sink search --table public.items --rate 0");
        await Refused(2, "'keys' is given with several tables", "replays start --source shop --sink search --table public.* --key 1");
        await Refused(1, "--sink", "replays start --source shop --table public.items");
        await Refused(1, "Required argument 'id' missing", "replays show");
        await Refused(1, "stop", "replays stop 1");
        var alone = await ProductCommand.Run("replays", "list", "--api", "http://127.0.0.1:1");
        Assert.Equal((1, ""), (alone.ExitCode, alone.Output));
        Assert.Contains("No gateway answers at http://127.0.0.1:1/", alone.Error, StringComparison.Ordinal);
        Assert.Equal(2, (await ProductCommand.Run("replays", "list", "--api", "nowhere")).ExitCode);
    }

    // What was under way when it was decided about it may still be counted.
    private async Task Shown(long id, string state)
    {
        var shown = await Json($"replays show {id}");
        Assert.Equal((id, state), (shown.GetProperty("id").GetInt64(), Text(shown, "state")));
        Assert.Contains(Lines(await Output($"replays show {id}")), l => Regex.IsMatch(l, $"^state: +{state}$"));
        Assert.Matches($"^{id} +shop +search +public.items +{state} ", Lines(await Output("replays list"))[1]);
    }

    private async Task SameAs(string path, string command)
    {
        var (_, answer) = await _silo.Get(path);
        var output = (await Run(command + " --json")).Output;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(answer.GetRawText()), JsonNode.Parse(output)), output);
    }

    private async Task Refused(int code, string error, string command)
    {
        var ran = await Run(command);
        Assert.Equal(code, ran.ExitCode);
        Assert.Contains(error, ran.Error, StringComparison.Ordinal);
    }

    private async Task<string> Output(string command)
    {
        var ran = await Run(command);
        Assert.True(ran.ExitCode == 0, $"{command} ended with {ran.ExitCode}: {ran.Error}");
        return ran.Output;
    }

    private async Task<JsonElement> Json(string command)
    {
        var ran = await Run(command + " --json");
        Assert.Equal(("", 0), (ran.Error, ran.ExitCode));
        return JsonElement.Parse(ran.Output);
    }

    private async Task<long> Running()
    {
        JsonElement running = default;
        await _silo.Until(
            async () => (running = (await _silo.Get("api/v1/replays?limit=1")).Body.GetProperty("replays")[0]).GetProperty("state").GetString() == "running", "to run a replay");
        return running.GetProperty("id").GetInt64();
    }

    private async Task<JsonElement> Replay(long id) => (await _silo.Get($"api/v1/replays/{id}")).Body;

    private Task<ProductCommand> Run(string command) => ProductCommand.Run([.. command.Split(' '), "--api", _pipeline.Gateway.ToString()]);

    private static string Text(JsonElement item, string name) => item.GetProperty(name).GetString()!;

    private static List<string> Lines(string text) => [.. text.TrimEnd().Split('\n').Select(l => l.TrimEnd())];
}
