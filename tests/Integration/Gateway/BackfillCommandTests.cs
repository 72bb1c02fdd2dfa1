using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Model.Storage;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The commands for backfills, as processes, against a gateway: what they ask, what they print, and their exit codes.</summary>
[Collection("gateway")]
public sealed class BackfillCommandTests : IAsyncLifetime
{
    private readonly FakeCluster _cluster = new();
    private RunningGateway _gateway = null!;

    public async ValueTask InitializeAsync() => _gateway = await RunningGateway.Start(_cluster, "shop");

    public ValueTask DisposeAsync() => _gateway.DisposeAsync();

    [Fact]
    public async Task Options_become_the_order()
    {
        await Output("backfills start --source shop --table public.a --table public.b* --rate 5 --where n>1");
        await Output("backfills start --source shop --table public.a --key 1 --key 2");
        await Output("backfills start --source shop --table public.a --repair");
        await Output("backfills start --source shop --table public.a --verify");
        await Output("reread shop public.a a/b,c");
        List<BackfillOrder> orders = [.. _cluster.Backfills.Asked.Select(a => Assert.IsType<(BackfillOrder Order, string)>(a).Order)];
        Assert.Equal(
            [(BackfillKind.Rows, "public.a public.b*", 5, "n>1", null), (BackfillKind.Rows, "public.a", 0, null, "1 2"), (BackfillKind.Repair, "public.a", 0, null, null),
                (BackfillKind.Verify, "public.a", 0, null, null), (BackfillKind.Rows, "public.a", 0, null, "a/b,c")],
            orders.Select(o => (o.Kind, string.Join(' ', o.Patterns), o.Rate, o.Where, o.Keys is null ? null : string.Join(' ', o.Keys))));
    }

    [Theory]
    [InlineData("backfills list --limit 2", """
        ID  SOURCE  KIND  TABLES             STATE    DONE      RATE  STARTED               NOTE
        3   shop    rows  public.a public.b  running  400/1000  100   1970-01-01 00:00:00Z  gone
        2   shop    rows  public.a public.b  running  400/1000  100   1970-01-01 00:00:00Z  gone
        There is more: --after 2
        """)]
    [InlineData("backfills show 3", """
        id:             3
        source:         shop
        kind:           rows
        state:          running
        rate:           100
        rowsPerSecond:  100
        rowsTotal:      1000
        rowsDone:       400
        percent:        40
        secondsLeft:    7
        sent:           300
        unchanged:      60
        created:        2
        updated:        4
        deleted:        6
        parked:         8
        deadLetters:    10
        error:          -
        waiting:        gone
        startedBy:      me
        createdAt:      1970-01-01T00:00:00+00:00
        updatedAt:      1970-01-01T00:00:00+00:00
        endedAt:        -

        TABLE     KEYS  STATE  DONE     SENT  UNCHANGED  CREATED  UPDATED  DELETED  PARKED  DEAD LETTERS  WHERE
        public.a  -     open   200/500  150   30         1        2        3        4       5             -
        public.b  -     open   200/500  150   30         1        2        3        4       5             -
        """)]
    public async Task Tables_are_for_people(string command, string expected) => Assert.Equal(expected, (await Output(command)).TrimEnd(), ignoreLineEndingDifferences: true);

    [Theory]
    [InlineData("backfills list", "/api/v1/backfills")]
    [InlineData("backfills list --after 3 --limit 1", "/api/v1/backfills?after=3&limit=1")]
    [InlineData("backfills show 2", "/api/v1/backfills/2")]
    public async Task Json_is_the_answer_of_the_gateway(string command, string path)
    {
        var output = await Output($"{command} --json");
        var (_, answer) = await _gateway.Get(path);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(answer.GetRawText()), JsonNode.Parse(output)), output);
    }

    [Fact]
    public async Task Who_waits_sees_the_progress_and_gets_the_end()
    {
        _cluster.Backfills.Next = b => b.Tables[0].RowsDone switch
        {
            0 => b with { Waiting = "an open transaction", Tables = [b.Tables[0] with { RowsDone = 120 }] },
            120 => b with { State = "done", Waiting = null, Tables = [b.Tables[0] with { RowsDone = 280, IsDone = true }] },
            _ => b,
        };
        var waited = await Run("backfills start --source shop --table public.a --wait --json");
        Assert.Equal(0, waited.ExitCode);
        var done = JsonElement.Parse(waited.Output);
        Assert.Equal(("done", 280, 100), (done.GetProperty("state").GetString(), done.GetProperty("rowsDone").GetInt32(), done.GetProperty("percent").GetInt32()));
        Assert.Equal(
            ["running: 0 of about 300 rows", "running: 120 of about 300 rows, an open transaction"],
            waited.Error.TrimEnd().Split('\n').Select(l => l.TrimEnd()));
        Assert.Matches(new Regex(@"^state: +done\r?$", RegexOptions.Multiline), await Output("backfills show 7 --wait"));

        // One that ends otherwise is a failure.
        _cluster.Backfills.Next = b => b with { State = "failed", Error = "the table was dropped" };
        foreach (var command in (string[])["backfills show 7 --wait", "reread shop public.a 1 --wait"])
        {
            _cluster.Backfills.Views[7] = FakeBackfills.Backfill(7);
            var failed = await Run(command);
            Assert.Equal((1, ""), (failed.ExitCode, failed.Output));
            Assert.Contains("Backfill 7 is failed: the table was dropped", failed.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Decisions_are_passed_on()
    {
        foreach (var (verb, meant) in new[] { ("pause", BackfillVerb.Pause), ("resume", BackfillVerb.Resume), ("cancel", BackfillVerb.Cancel) })
        {
            Assert.Matches(new Regex(@"^id: +1\r?$", RegexOptions.Multiline), await Output($"backfills {verb} 1"));
            Assert.Equal((1L, meant, "127.0.0.1"), _cluster.Backfills.Asked[^1]);
        }
    }

    [Theory]
    [InlineData("backfills show 9", 2, "There is no backfill 9")]
    [InlineData("backfills pause 2", 2, "Backfill 2 is done.")]
    [InlineData("backfills list --limit 0", 2, "'limit'")]
    [InlineData("backfills start --source nope --table public.a", 2, "'nope'")]
    [InlineData("backfills start --source shop --table public.twice", 2, "Backfill 2 is running")]
    [InlineData("backfills start --source shop --table public.down", 1, "no server answers")]
    [InlineData("backfills start --source shop --table public.a --rate -1", 2, "'rate'")]
    [InlineData("backfills start --source shop --table public.a --repair --verify", 1, "--repair and --verify exclude each other")]
    [InlineData("backfills start --source shop", 1, "--table")]
    [InlineData("backfills stop 1", 1, "stop")]
    [InlineData("reread shop public.log 1", 2, "entities: off")]
    [InlineData("reread shop public.a", 1, "Required argument 'key' missing")]
    public async Task What_is_refused_is_said_on_the_error_output(string command, int code, string error)
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

    private Task<ProductCommand> Run(string command) => ProductCommand.Run([.. command.Split(' '), "--api", _gateway.Client.BaseAddress!.ToString()]);
}
