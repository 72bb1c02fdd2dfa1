using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Conformance.Cases;

/// <summary>
/// Cases that need more than a script: a server or a database of their own, restarts, or sums over many events. Each is run with an input
/// of our own, and with one that is kept elsewhere (see <see cref="FieldTests"/>) where there is one.
/// </summary>
public sealed partial class SpecialCaseTests(Servers servers)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    public static IEnumerable<TheoryDataRow<bool>> OursAndTheirs(string number) =>
        new[] { false, true }.Select(f => new TheoryDataRow<bool>(f).WithTrait("case", number));

    // Case 14.
    [Theory]
    [MemberData(nameof(OursAndTheirs), "14")]
    public async Task A_first_start_waits_for_open_transactions_and_says_so(bool isFromField)
    {
        var (setup, script) = isFromField ? (FieldCase.File("14", ".setup"), FieldCase.File("14")) : ("", "");

        // The creation of a slot waits for the transactions of the whole server, so this one is not shared.
        await using var server = await PostgresServer.Start("max_prepared_transactions=5");
        await using var run = await CaseRun.Create(servers, "case_14", server);
        if (isFromField)
            await run.Psql(setup);
        else
            await run.Execute("CREATE TABLE public.parcel (id int PRIMARY KEY, v text)");
        await run.Prepare();
        if (!isFromField)
            await PostgresServer.Execute(run.Connection, "BEGIN; INSERT INTO public.parcel VALUES (10, 'early'); PREPARE TRANSACTION 'left open'");

        await run.Launch();
        await Waits(run, isFromField ? "'c14'" : "'left open'");
        var sessions = await Sessions(run);
        for (var i = 0; i < 5; i++)
        {
            await Task.Delay(1000);
            await Waits(run, isFromField ? "'c14'" : "'left open'");
        }

        Assert.True(await Sessions(run) <= sessions + 1, $"{sessions} sessions became {await Sessions(run)}.");
        Assert.Equal("1", await PostgresServer.Scalar(run.Connection, "SELECT count(*) FROM pg_replication_slots"));
        if (!isFromField)
        {
            // A planned stop leaves no slot.
            var since = DateTime.UtcNow;
            await run.Stop();
            Assert.True(DateTime.UtcNow - since < TimeSpan.FromSeconds(30), $"The stop took {DateTime.UtcNow - since}.");
            for (var deadline = DateTime.UtcNow + Patience; await PostgresServer.Scalar(run.Connection, "SELECT count(*) FROM pg_replication_slots") != "0"; await Task.Delay(100))
                Assert.True(DateTime.UtcNow < deadline, "The slot that was being created is still there.");
            await run.Launch();
            await Waits(run, "'left open'");
            await run.Execute("COMMIT PREPARED 'left open'");
        }
        else
        {
            await run.Psql(script);
        }

        await run.Silo.Ready();
        if (!isFromField)
            await run.Execute("INSERT INTO public.parcel VALUES (20, 'late'); UPDATE public.parcel SET v = 'told' WHERE id = 10");
        await run.Settle();
        await run.Check(isFromField ? Case.OutcomeOf("14") : [ExpectedTable.Parse("""
            -- expect public.parcel
            -- {"id":20} c {"id":20,"v":"late"}
            -- {"id":10} u {"id":10,"v":"told"}
            """)]);
    }

    // Case 15.
    [Theory]
    [MemberData(nameof(OursAndTheirs), "15")]
    public async Task A_relation_that_is_announced_before_each_change_costs_little_and_nothing_is_forgotten(bool isFromField)
    {
        var (setup, script) = isFromField ? (FieldCase.File("15", ".setup"), FieldCase.File("15")) : ("", "");
        await using var run = await CaseRun.Create(servers, "case_15");
        if (isFromField)
        {
            await run.Psql(setup);
            await run.Prepare();
            await run.Start();
            await run.StartPeer();
            await run.Psql(script);
            await Arrived(run, ("public.c15_item", 200, 2500), ("public.c15_other", 201, 2000));
            await Row(run, "public.c15_item/101", 2500);
            await Row(run, "public.c15_item/1", 2400);
            await Row(run, "public.c15_other/1", 2000);
            await Row(run, "public.c15_other/101", 1900);
            return;
        }

        await run.Execute("CREATE TABLE public.dial (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE public.knob (id int PRIMARY KEY, n int NOT NULL)");
        await run.Prepare();
        await run.Start();
        await run.StartPeer();
        await run.Execute("INSERT INTO public.dial SELECT i, 0 FROM generate_series(1, 50) AS i; INSERT INTO public.knob SELECT i, 0 FROM generate_series(1, 50) AS i");
        await run.Settle();
        await run.Execute("""
            DO $$
            BEGIN
              FOR i IN 1..700 LOOP
                GRANT SELECT ON public.dial TO PUBLIC;
                UPDATE public.dial SET n = i WHERE id = 1 + i % 50;
                REVOKE SELECT ON public.dial FROM PUBLIC;
                ANALYZE public.knob;
                UPDATE public.knob SET n = i WHERE id = 1 + i % 50;
                COMMIT;
              END LOOP;
            END $$
            """);
        await run.Execute("""
            DO $$
            BEGIN
              FOR i IN 701..1000 LOOP
                COMMENT ON TABLE public.dial IS 'touched';
                ALTER TABLE public.dial SET (fillfactor = 90);
                UPDATE public.dial SET n = i WHERE id = 1 + i % 50;
              END LOOP;
            END $$
            """);
        await Arrived(run, ("public.dial", 50, 1000), ("public.knob", 50, 700));
        await Row(run, "public.dial/1", 1000);
        await Row(run, "public.knob/2", 651);
    }

    // Case 16.
    [Theory]
    [MemberData(nameof(OursAndTheirs), "16")]
    public async Task A_byte_without_a_character_stops_the_source_with_the_reason_and_can_be_passed(bool isFromField)
    {
        var (setup, script) = isFromField ? (FieldCase.File("16", ".setup"), FieldCase.File("16")) : ("", "");
        var database = isFromField ? "c16_win1252" : $"win1253_{Guid.NewGuid():N}"[..20];
        await using var run = await CaseRun.Create(servers, "case_16", database: database);
        if (isFromField)
        {
            await run.Psql(setup, "postgres");
        }
        else
        {
            await PostgresServer.Execute(servers.Postgres.Connection(), $"CREATE DATABASE {database} ENCODING 'WIN1253' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
            await run.Execute("CREATE TABLE public.memo (id int PRIMARY KEY, v text); CREATE TABLE public.beside (id int PRIMARY KEY, v text)");
        }

        await run.Prepare();
        await run.Start();
        if (isFromField)
        {
            await run.Psql(script, "postgres");
        }
        else
        {
            await run.Execute("""INSERT INTO public.memo VALUES (1, E'\xe4\xe5 \x80')""");
            await run.Settle();
            await run.Execute("""INSERT INTO public.memo VALUES (2, E'a gap: \xaa')""");
            await run.Execute("""INSERT INTO public.beside VALUES (2, 'next to it')""");
            await run.Execute("UPDATE public.memo SET v = 'mended' WHERE id = 2");
        }

        var detail = await State(run, "failed");
        Assert.Contains("cannot be converted", detail, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await run.Silo.Get("health/ready")).Status);
        Assert.Equal(HttpStatusCode.OK, (await run.Silo.Get("health/live")).Status);
        var position = Position().Match(detail).Groups[1].Value;
        await run.Execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect");
        await run.Execute($"""
            SELECT pg_replication_slot_advance('{run.Slot}', end_lsn) FROM pg_get_wal_records_info('{position}', pg_current_wal_flush_lsn())
            WHERE resource_manager = 'Transaction' AND record_type LIKE 'COMMIT%' AND xid = (SELECT xid FROM pg_get_wal_record_info('{position}'))
            """);
        await run.Silo.Until(
            async () => (await run.Silo.Source(run.Ours)).GetProperty("detail").GetString() is { } now && now.Contains("somebody moved it", StringComparison.Ordinal),
            "the moved slot to be noticed", Patience);
        await PostgresServer.Execute(run.Control, $"SELECT cdc.accept_gap('{run.Ours}')");
        await State(run, "streaming");
        await run.Settle();
        await run.Check(isFromField ? AfterGap(Case.OutcomeOf("16")) : AfterGap([ExpectedTable.Parse("""
            -- expect public.memo
            -- {"id":1} c {"id":1,"v":"δε €"}
            -- {"id":2} u {"id":2,"v":"mended"}
            """), ExpectedTable.Parse("""
            -- expect public.beside
            -- {"id":2} c {"id":2,"v":"next to it"}
            """)]));

        // All stored rows from before the gap were deleted.
        static IReadOnlyList<ExpectedTable> AfterGap(IReadOnlyList<ExpectedTable> expected)
        {
            foreach (var key in expected.SelectMany(t => t.Keys))
                (key.IsGone, key.IsDoubted) = (key.Key == """{"id":1}""", key.Key != """{"id":1}""");
            return expected;
        }
    }

    // Case 20, as it is kept elsewhere; ours is a script.
    [Fact]
    [Trait("case", "20")]
    public async Task A_table_that_is_left_out_for_one_run_is_not_completed_from_before()
    {
        string[] files = [FieldCase.File("20", ".setup"), FieldCase.File("20"), FieldCase.File("20", ".2"), FieldCase.File("20", ".3")];
        await using var run = await CaseRun.Create(servers, "case_20");
        await run.Psql(files[0]);
        await run.Prepare();
        await run.Start();
        await run.StartPeer();
        await run.Psql(files[1]);
        await run.Restart("public.c20_other");
        await run.NotHeld("public.c20_doc 1");
        await run.Psql(files[2]);
        await run.Restart("public.*");
        await run.Psql(files[3]);
        await run.Settle();
        await run.Check(Case.OutcomeOf("20"));
    }

    private static async Task Waits(CaseRun run, string transaction)
    {
        await run.Silo.Until(
            async () => await run.Silo.Source(run.Ours) is var source && source.GetProperty("state").GetString() == "starting"
                && source.GetProperty("detail").GetString() is { } detail && detail.Contains(transaction, StringComparison.Ordinal) && detail.Contains("ROLLBACK PREPARED", StringComparison.Ordinal),
            $"to say that it waits for {transaction}", Patience);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await run.Silo.Get("health/ready")).Status);
    }

    private static async Task<int> Sessions(CaseRun run) =>
        int.Parse((await PostgresServer.Scalar(run.Control, $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{run.Database}'"))!, CultureInfo.InvariantCulture);

    private static async Task<string> State(CaseRun run, string state)
    {
        await run.Silo.Until(async () => (await run.Silo.Source(run.Ours)).GetProperty("state").GetString() == state, $"the source to be {state}", Patience);
        return (await run.Silo.Source(run.Ours)).GetProperty("detail").GetString() ?? "";
    }

    // Everything has arrived a minute after the script at the latest, each row's changes in order, with the row before.
    private static async Task Arrived(CaseRun run, params (string Table, int Creates, int Updates)[] tables)
    {
        var watch = Stopwatch.StartNew();
        await run.Settle();
        TestContext.Current.TestOutputHelper!.WriteLine($"Everything has arrived {watch.Elapsed.TotalSeconds:F1} s after the script, also at Debezium where it runs.");
        var lag = (await run.Silo.Source(run.Ours)).GetProperty("reader").GetProperty("lag").GetProperty("bytes").GetInt64();
        Assert.True(lag < 1 << 20, $"The lag is {lag} bytes.");
        var events = await run.Events();
        foreach (var (table, creates, updates) in tables)
        {
            var ofTable = events.Where(e => e.Topic == table).ToList();
            Assert.Equal((creates, updates), (ofTable.Count(e => Op(e) == "c"), ofTable.Count(e => Op(e) == "u")));
            foreach (var key in ofTable.GroupBy(e => e.Key))
            {
                var (last, wrong) = (0, 0);
                foreach (var change in key.Where(e => Op(e) == "u"))
                {
                    var n = change.Value!["after"]!["n"]!.GetValue<int>();
                    if (n <= last || change.Value!["before"]?["n"]?.GetValue<int>() != last)
                        wrong++;
                    last = n;
                }

                Assert.True(wrong == 0, $"{table} {key.Key}: {wrong} updates are out of order, or without the row before.");
            }
        }

        static string Op(TopicRecord record) => record.Value?["op"]?.GetValue<string>() ?? "-";
    }

    private static async Task Row(CaseRun run, string entity, int n)
    {
        var (status, body) = await run.Silo.Get($"api/v1/entities/{run.Ours}/{entity}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal((n, 1), (body.GetProperty("row").GetProperty("n").GetInt32(), body.GetProperty("schemaVersion").GetInt32()));
    }

    [GeneratedRegex("associated LSN ([0-9A-F]+/[0-9A-F]+)")]
    private static partial Regex Position();
}
