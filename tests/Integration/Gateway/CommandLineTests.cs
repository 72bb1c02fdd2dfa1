using System.Text.Json;
using System.Text.Json.Nodes;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The commands that call the API, as processes, against a gateway: what they print, and their exit codes.</summary>
[Collection("gateway")]
public sealed class CommandLineTests : IAsyncLifetime
{
    private readonly FakeCluster _cluster = SinkEndpointTests.Cluster();
    private RunningGateway _gateway = null!;

    public async ValueTask InitializeAsync() => _gateway = await RunningGateway.Start(_cluster, "shop");

    public ValueTask DisposeAsync() => _gateway.DisposeAsync();

    [Theory]
    [InlineData("sinks list", """
        SINK    TYPE     HEALTHY  PAUSED                                  PARKED  OLDEST  DEAD LETTERS  OPEN CIRCUITS  LAST ERROR
        events  kafka    false    by 10.0.0.7 since 1970-01-01 00:00:00Z  3       61 s    6             1              broker gone
        gone    removed  true     -                                       0       -       1             0              -
        """)]
    [InlineData("sinks show events", """
        name:           events
        type:           kafka
        healthy:        false
        paused:         by 10.0.0.7 since 1970-01-01 00:00:00Z
        parked:         3 events, 900 bytes
        oldest parked:  61 s
        dead letters:   6

        ROUTE FROM     FORMAT    INLINE  BACKOFF       GIVE UP      POISON  OUTAGE  SPILL BYTES
        shop.public.*  debezium  2 s     1 s to 600 s  50 attempts  block   spill   1000

        SOURCE  HEALTHY  DELIVERED   REFUSED  FAILED  WAITING  PARKED  HELD  LAST ERROR
        shop    false    4999999000  1        0       12       3       0     broker gone

        OPEN CIRCUIT              SOURCE  ERROR
        https://example.com/hook  shop    503: later
        """)]
    [InlineData("sinks show gone", """
        name:           gone
        type:           removed
        healthy:        true
        paused:         -
        parked:         0 events, 0 bytes
        oldest parked:  -
        dead letters:   1

        ROUTE FROM  FORMAT  INLINE  BACKOFF  GIVE UP  POISON  OUTAGE  SPILL BYTES
        (none)

        SOURCE  HEALTHY  DELIVERED  REFUSED  FAILED  WAITING  PARKED  HELD  LAST ERROR
        (none)
        """)]
    [InlineData("sinks pause events", "events is paused, by 127.0.0.1 since 1970-01-01 00:00:00Z.")]
    [InlineData("sinks resume events", "events is resumed.")]
    [InlineData("sinks test events", "events answers, after 12.3 ms.")]
    [InlineData("parked list --sink events", """
        ID  SINK    TABLE               KEY  EVENTS  BYTES  ATTEMPTS  DUE                   LAST ERROR
        5   events  shop.public.orders  1    2       300    1         1970-01-01 00:00:00Z  -
        """)]
    [InlineData("parked retry --sink events", "7 entities are tried now.")]
    [InlineData("dead-letters list --limit 2", """
        ID  SINK    TABLE               KEY  ATTEMPTS  LAST FAILED           STATE    ERROR
        1   events  shop.public.orders  1    2         1970-01-01 00:00:01Z  waiting  too large
        2   events  shop.public.orders  2    2         1970-01-01 00:00:01Z  waiting  too large
        There is more: --after 2
        """)]
    [InlineData("dead-letters groups", """
        FINGERPRINT  COUNT  SINK    TABLE               FIRST FAILED          LAST FAILED           ERROR
        f00d         3      events  shop.public.orders  1970-01-01 00:00:00Z  1970-01-01 00:00:00Z  too large
        """)]
    [InlineData("dead-letters discard 1", "1 deleted.")]
    [InlineData("audit list", """
        ID  AT                    WHO        OPERATION  ARGUMENTS  RESULT
        9   1970-01-01 00:00:00Z  127.0.0.1  discard    {}         1 accepted, 0 refused
        """)]
    public async Task Tables_are_for_people(string command, string expected)
    {
        var ran = await Run(command);
        Assert.Equal(("", 0), (ran.Error, ran.ExitCode));
        Assert.Equal(expected, ran.Output.TrimEnd(), ignoreLineEndingDifferences: true);
    }

    [Theory]
    [InlineData("sinks list", "/api/v1/sinks")]
    [InlineData("sinks show events", "/api/v1/sinks/events")]
    [InlineData("parked list", "/api/v1/parked")]
    [InlineData("dead-letters list --sink events --after 1", "/api/v1/dead-letters?sink=events&after=1")]
    [InlineData("dead-letters show 2", "/api/v1/dead-letters/2")]
    [InlineData("dead-letters groups", "/api/v1/dead-letters/groups")]
    [InlineData("audit list", "/api/v1/audit")]
    public async Task Json_is_the_answer_of_the_gateway(string command, string path)
    {
        var ran = await Run($"{command} --json");
        Assert.Equal(0, ran.ExitCode);
        var (_, answer) = await _gateway.Get(path);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(answer.GetRawText()), JsonNode.Parse(ran.Output)), ran.Output);
    }

    [Fact]
    public async Task Json_of_changes_says_what_was_done()
    {
        var paused = JsonElement.Parse((await Run("sinks pause events --json")).Output);
        Assert.True(paused.GetProperty("changed").GetBoolean());
        Assert.Equal("127.0.0.1", paused.GetProperty("paused").GetProperty("by").GetString());
        var resumed = JsonElement.Parse((await Run("sinks resume events --json")).Output);
        Assert.Equal(JsonValueKind.Null, resumed.GetProperty("paused").ValueKind);
        Assert.Equal([("pause", "events", "127.0.0.1"), ("resume", "events", "127.0.0.1")], _cluster.Operations.Asked.OfType<(string, string, string)>());
        Assert.Equal(7, JsonElement.Parse((await Run("parked retry --sink events --json")).Output).GetProperty("entities").GetInt32());
    }

    [Theory]
    [InlineData("sinks show nope", 2, "There is no sink 'nope'")]
    [InlineData("sinks pause nope", 2, "There is no sink 'nope'")]
    [InlineData("sinks resume ../status", 2, "There is no sink")]
    [InlineData("parked list --limit 0", 2, "'limit'")]
    [InlineData("parked retry --sink nope", 2, "There is no sink 'nope'")]
    [InlineData("dead-letters show 4", 2, "There is no dead letter 4")]
    [InlineData("dead-letters redeliver", 2, "either 'ids' or 'fingerprint'")]
    [InlineData("sinks pause", 1, "Required argument 'sink' missing")]
    [InlineData("sinks stop events", 1, "stop")]
    public async Task What_is_refused_is_said_on_the_error_output(string command, int code, string error)
    {
        var ran = await Run(command);
        Assert.Equal(code, ran.ExitCode);
        Assert.Contains(error, ran.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_test_that_fails_says_why_and_fails()
    {
        _cluster.Operations.TestFinds = "no broker\nanswers";
        var ran = await Run("sinks test events");
        Assert.Equal((1, "events does not answer: no broker answers"), (ran.ExitCode, ran.Output.TrimEnd()));
        var json = await Run("sinks test events --json");
        Assert.Equal((1, false), (json.ExitCode, JsonElement.Parse(json.Output).GetProperty("ok").GetBoolean()));
        Assert.Equal(2, (await Run("sinks test nope")).ExitCode);
    }

    // Some letters were decided about, and one was not.
    [Fact]
    public async Task A_decision_that_is_carried_out_in_part_fails()
    {
        var ran = await Run("dead-letters redeliver 1 3 8");
        Assert.Equal(1, ran.ExitCode);
        Assert.Equal("1 on their way again.\n3 stays: busy\n8 does not exist.", ran.Output.TrimEnd(), ignoreLineEndingDifferences: true);
    }

    [Fact]
    public async Task Without_a_gateway_it_says_so()
    {
        var ran = await ProductCommand.Run("sinks", "list", "--api", "http://127.0.0.1:1");
        Assert.Equal((1, ""), (ran.ExitCode, ran.Output));
        Assert.Contains("No gateway answers at http://127.0.0.1:1/", ran.Error, StringComparison.Ordinal);
        Assert.Equal(2, (await ProductCommand.Run("sinks", "list", "--api", "nowhere")).ExitCode);
    }

    private Task<ProductCommand> Run(string command) => ProductCommand.Run([.. command.Split(' '), "--api", _gateway.Client.BaseAddress!.ToString()]);
}
