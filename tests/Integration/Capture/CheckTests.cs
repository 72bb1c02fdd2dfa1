using CdcOrleans.Model.Capture;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;
using Xunit;

namespace CdcOrleans.Integration.Capture;

public sealed class CheckTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task What_is_missing_is_created_once_and_adopted_after()
    {
        await using var capture = await server.Capture("CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE a (id int PRIMARY KEY)");
        Assert.Empty(await capture.Capture.Check(CancellationToken.None));
        await NothingCreated(capture);

        var created = await capture.Capture.Prepare(null, CancellationToken.None);
        Assert.True(created.SlotCreated);
        Assert.Equal(["public.a", "public.b"], created.Tables);
        Assert.StartsWith("15", created.ServerVersion);
        Assert.Equal(await capture.Scalar("SELECT system_identifier::text FROM pg_control_system()"), created.Log.SystemIdentifier);
        Assert.Equal(await capture.Scalar("SELECT current_database()"), created.Database);
        Assert.False(created.ConfirmedLsn.IsNone);

        await capture.Execute("CREATE TABLE c (id int PRIMARY KEY)");
        var adopted = await capture.Capture.Prepare(null, CancellationToken.None);
        Assert.False(adopted.SlotCreated);
        Assert.Equal(["public.a", "public.b", "public.c"], adopted.Tables);
        Assert.Equal("3", await capture.Scalar("SELECT count(*) FROM pg_publication_tables"));
    }

    [Fact]
    public async Task All_findings_come_together()
    {
        await using var capture = await server.Capture("CREATE TABLE keyless (n int)", "public.keyless", "shop.*");
        await Refused(capture, "'shop.*' selects no table", "public.keyless");
    }

    [Theory]
    [InlineData("CREATE TABLE t (n int)")]
    [InlineData("CREATE TABLE t (n int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING")]
    [InlineData("CREATE TABLE t (n int PRIMARY KEY DEFERRABLE)")]
    public async Task A_table_whose_rows_nothing_identifies_is_not_published_unasked(string schema)
    {
        await using var capture = await server.Capture(schema, "public.t");
        await Refused(
            capture, "sources.db", ".tables selects public.t", "ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY", "REPLICA IDENTITY USING INDEX",
            "REPLICA IDENTITY FULL", "CREATE PUBLICATION", "or remove it from sources.");

        // Somebody did it knowingly.
        await capture.Execute($"CREATE PUBLICATION {Publication(capture)} FOR TABLE t");
        Assert.True((await capture.Capture.Prepare(null, CancellationToken.None)).SlotCreated);
    }

    [Fact]
    public async Task A_slot_that_waits_for_an_open_transaction_says_so_and_can_be_given_up()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await using var open = new NpgsqlConnection(capture.Source.Connection);
        await open.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await open.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var insert = new NpgsqlCommand("INSERT INTO t VALUES (1)", open))
            await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        using (var giveUp = new CancellationTokenSource())
        {
            var abandoned = capture.Capture.Prepare(null, giveUp.Token);
            await Said();
            await giveUp.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => abandoned.WaitAsync(TimeSpan.FromSeconds(10)));
            Assert.Null(capture.Capture.Waiting);
            Assert.Equal("0", await capture.Scalar($"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'"));
        }

        var preparing = capture.Capture.Prepare(null, CancellationToken.None);
        await Said();
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
        Assert.True((await preparing.WaitAsync(TimeSpan.FromSeconds(10))).SlotCreated);
        Assert.Null(capture.Capture.Waiting);

        async Task Said()
        {
            for (var deadline = DateTime.UtcNow.AddSeconds(20); capture.Capture.Waiting?.Contains($"process {open.ProcessID}", StringComparison.Ordinal) != true;)
            {
                Assert.True(DateTime.UtcNow < deadline, $"It says: {capture.Capture.Waiting}");
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }
    }

    [Fact]
    public async Task A_table_that_only_a_pattern_selects_and_whose_rows_nothing_identifies_is_left_out_and_named()
    {
        await using var capture = await server.Capture("CREATE TABLE keyless (n int); CREATE TABLE t (id int PRIMARY KEY)");
        Assert.Empty(await capture.Capture.Check(CancellationToken.None));
        Assert.True((await capture.Capture.Prepare(null, CancellationToken.None)).SlotCreated);
        Assert.Equal("t", await capture.Scalar("SELECT string_agg(tablename, ',') FROM pg_publication_tables"));
        Assert.Contains("nothing identifies its rows", Assert.Single(capture.Log.Lines, l => l.Contains("public.keyless")));
        Assert.Contains("public.keyless", Assert.Single(capture.Capture.LeftOut));

        await capture.Execute("ALTER TABLE keyless REPLICA IDENTITY FULL");
        Assert.Equal(["public.keyless"], await capture.Capture.Watch(CancellationToken.None));
        Assert.Empty(capture.Capture.LeftOut);
    }

    [Theory]
    [InlineData("CREATE TABLE later (n int)", "nothing identifies its rows")]
    [InlineData("CREATE TABLE later (n int PRIMARY KEY); ALTER TABLE later OWNER TO somebody", "another role owns the table or the publication")]
    public async Task A_table_that_appears_later_and_cannot_be_captured_stops_nothing(string schema, string why)
    {
        await using var owner = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        var role = $"watcher_{Guid.NewGuid():N}";
        await owner.Execute($"CREATE ROLE {role} LOGIN REPLICATION; ALTER TABLE t OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}");
        await owner.Execute("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'somebody') THEN CREATE ROLE somebody; END IF; END $$");
        await owner.Execute($"GRANT CREATE ON DATABASE {await owner.Scalar("SELECT current_database()")} TO {role}");
        await using var capture = As(owner, role);
        await capture.Start();

        await owner.Execute(schema);
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        Assert.Contains(why, Assert.Single(capture.Log.Lines, l => l.Contains("public.later")));
        await owner.Execute("INSERT INTO t VALUES (1)");
        Assert.Single((await capture.NextTransaction()).Changes);
    }

    [Fact]
    public async Task Tables_join_the_publication_while_streaming()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Execute("CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)");
        Assert.Equal(["public.later"], await capture.Capture.Watch(CancellationToken.None));
        await capture.Execute($"INSERT INTO later VALUES (2); ALTER PUBLICATION {Publication(capture)} DROP TABLE t");
        Assert.Equal(["public.t"], await capture.Capture.Watch(CancellationToken.None));
        await capture.Execute("INSERT INTO t VALUES (3)");

        Assert.Equal("public.later/2", Assert.Single((await capture.NextTransaction()).Changes).Entity.ToString());
        Assert.Equal("public.t/3", Assert.Single((await capture.NextTransaction()).Changes).Entity.ToString());
        Assert.Contains(capture.Log.Lines, l => l.Contains("table public.t joined") && l.Contains("captured only by a backfill"));
    }

    [Fact]
    public async Task A_publication_that_is_altered_or_dropped_while_streaming_is_noticed()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        await capture.Execute($"ALTER PUBLICATION {Publication(capture)} SET (publish = 'insert')");
        var altered = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Watch(CancellationToken.None));
        Assert.False(altered.Transient);
        Assert.Contains("does not publish all of insert, update, delete and truncate", altered.Message);

        await capture.Execute($"DROP PUBLICATION {Publication(capture)}");
        var dropped = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Watch(CancellationToken.None));
        Assert.False(dropped.Transient);
        Assert.Contains("does not exist, and slot", dropped.Message);
        Assert.Contains($"pg_drop_replication_slot('{capture.Source.Slot}')", dropped.Message);

        // Creating the publication again does not bring back the changes in between.
        Assert.Equal(dropped.Message, (await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Prepare(null, CancellationToken.None))).Message);
        Assert.Equal("0", await capture.Scalar("SELECT count(*) FROM pg_publication"));
    }

    [Fact]
    public async Task A_slot_made_before_its_publication_is_refused()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Execute($"SELECT pg_create_logical_replication_slot('{capture.Source.Slot}', 'pgoutput')");
        await RefusedWithSlot(capture, "1", "does not exist, and slot", "pg_drop_replication_slot");
        await capture.Execute($"SELECT pg_drop_replication_slot('{capture.Source.Slot}')");
        Assert.True((await capture.Capture.Prepare(null, CancellationToken.None)).SlotCreated);
    }

    [Fact]
    public async Task A_publication_without_truncations_is_refused()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Execute($"CREATE PUBLICATION {Publication(capture)} FOR TABLE t WITH (publish = 'insert, update, delete')");
        await Refused(capture, "does not publish all of insert, update, delete and truncate", "SET (publish = 'insert, update, delete, truncate')");
    }

    [Fact]
    public async Task A_table_that_was_captured_and_dropped_is_no_finding_and_a_misspelt_one_is()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)", "public.t", "public.u");
        await capture.Start();
        await capture.Execute("INSERT INTO t VALUES (1)");
        await capture.NextTransaction();
        await capture.Execute("DROP TABLE t");
        Assert.Empty(await capture.Capture.Check(CancellationToken.None));
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        Assert.Contains("'public.t' selects no table any more", Assert.Single(capture.Log.Lines, l => l.Contains("any more")));
        await capture.Execute("DROP TABLE u");
        Assert.Contains("'public.u' selects no table of database", Assert.Single(await capture.Capture.Check(CancellationToken.None)));
    }

    [Fact]
    public async Task Tables_of_one_name_in_text_are_refused_and_a_later_one_is_left_out()
    {
        const string NameClash = "CREATE SCHEMA a; CREATE TABLE a.\"b.c\" (id int PRIMARY KEY)";
        await using var both = await server.Capture("CREATE SCHEMA \"a.b\"; CREATE TABLE \"a.b\".c (id int PRIMARY KEY); " + NameClash, "a.*");
        await Refused(both, "selects \"a\".\"b.c\" and \"a.b\".\"c\"", "all are a.b.c", "RENAME TO");

        await using var capture = await server.Capture("CREATE SCHEMA \"a.b\"; CREATE TABLE \"a.b\".c (id int PRIMARY KEY)", "a.*");
        await capture.Start();
        await capture.Execute(NameClash);
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        Assert.Contains("table \"a\".\"b.c\" matches", Assert.Single(capture.Log.Lines, l => l.Contains("another captured table, a.b.c")));

        // Somebody publishes it all the same.
        await capture.Execute("INSERT INTO \"a.b\".c VALUES (1)");
        await capture.Execute($"ALTER PUBLICATION {Publication(capture)} ADD TABLE a.\"b.c\"");
        await capture.Execute("INSERT INTO a.\"b.c\" VALUES (2); INSERT INTO \"a.b\".c VALUES (3)");
        Assert.Equal("1", Assert.Single((await capture.NextTransaction()).Changes).Entity.Key);
        Assert.Equal("3", Assert.Single((await capture.NextTransaction()).Changes).Entity.Key);
        Assert.Contains(
            "all are a.b.c", (await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Watch(CancellationToken.None))).Message);
    }

    [Fact]
    public async Task A_selection_of_nothing_is_refused()
    {
        await using var capture = await server.Capture("CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)", "public.fleeting");
        await Refused(capture, "'public.fleeting' selects no table of database db");
    }

    [Fact]
    public async Task A_role_that_may_not_replicate_is_refused()
    {
        await using var owner = await server.Capture("CREATE ROLE \"plain role\" LOGIN; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO \"plain role\"");
        await using var capture = As(owner, "plain role");
        await Refused(
            capture, "role plain role may not replicate", "ALTER ROLE \"plain role\" REPLICATION",
            "may not create objects", "CREATE PUBLICATION", "GRANT CREATE ON DATABASE");
        await owner.Execute($"ALTER ROLE \"plain role\" REPLICATION; GRANT CREATE ON DATABASE {await owner.Scalar("SELECT current_database()")} TO \"plain role\"");
        Assert.True((await capture.Capture.Prepare(null, CancellationToken.None)).SlotCreated);
        await capture.Restart();
        await owner.Execute("INSERT INTO t VALUES (1)");
        Assert.Single((await capture.NextTransaction()).Changes);
    }

    [Fact]
    public async Task Tables_of_others_need_their_owner()
    {
        await using var owner = await server.Capture("CREATE ROLE guest LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY)");
        await owner.Execute($"GRANT CREATE ON DATABASE {await owner.Scalar("SELECT current_database()")} TO guest");
        await using var capture = As(owner, "guest");
        await Refused(capture, "role guest does not own public.t", "CREATE PUBLICATION", "FOR TABLE \"public\".\"t\"");
    }

    [Fact]
    public async Task A_publication_of_others_that_lacks_tables_is_refused_with_the_statement()
    {
        await using var owner = await server.Capture("CREATE ROLE reader LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
        var publication = Publication(owner);
        await owner.Execute($"CREATE PUBLICATION {publication} FOR TABLE t WITH (publish = 'insert, update')");
        await using var capture = As(owner, "reader");
        await Refused(
            capture, "does not publish all of insert, update, delete and truncate", "belongs to role postgres", $"ALTER PUBLICATION {publication} ADD TABLE \"public\".\"u\";");
    }

    [Fact]
    public async Task A_publication_by_partitions_is_refused_where_the_configuration_says_otherwise()
    {
        await using var capture = await server.Capture("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id)");
        await capture.Execute($"CREATE PUBLICATION {Publication(capture)} FOR ALL TABLES");
        await Refused(capture, "public.p under the names of its partitions", "publish_via_partition_root = true");
    }

    [Fact]
    public async Task Partitions_under_their_own_names_must_be_selected()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10);
            """, s => s with { ViaPartitionRoot = false }, "public.p");
        await capture.Execute($"CREATE PUBLICATION {Publication(capture)} FOR TABLE p");
        await Refused(capture, "changes of public.p_low are published under those names");
    }

    [Fact]
    public async Task Partitions_come_under_their_own_names_where_that_is_asked_for()
    {
        await using var capture = await server.Capture("""
            CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (10);
            """, s => s with { ViaPartitionRoot = false }, "public.p*");
        Assert.Equal(["public.p_low"], (await capture.Capture.Prepare(null, CancellationToken.None)).Tables);
        await capture.Restart();
        await capture.Execute("CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (1), (11)");
        Assert.Empty(await capture.Capture.Watch(CancellationToken.None));
        Assert.Equal(["public.p_low/1", "public.p_high/11"], (await capture.NextTransaction()).Changes.Select(c => c.Entity.ToString()));
    }

    [Fact]
    public async Task A_slot_of_another_plugin_or_database_is_refused()
    {
        await using var first = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await using var second = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await first.Execute($"SELECT pg_create_logical_replication_slot('{first.Source.Slot}', 'test_decoding')");
        await RefusedWithSlot(first, "1", $"slot {first.Source.Slot} exists and is made for the plugin test_decoding", "pg_drop_replication_slot");
        await first.Execute($"SELECT pg_create_logical_replication_slot('{second.Source.Slot}', 'pgoutput')");
        await RefusedWithSlot(second, "1", "belongs to database " + await first.Scalar("SELECT current_database()"));
    }

    [Fact]
    public async Task A_slot_in_use_by_others_is_refused_and_left_alone()
    {
        await using var capture = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        await capture.Start();
        await using var same = new LogicalReplicationConnection(capture.Database + ";Application Name=stranger");
        await capture.Stream.DisposeAsync();
        await capture.Until($"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");
        await same.Open();
        using var stop = new CancellationTokenSource();
        await using var stranger = same.StartReplication(
            new PgOutputReplicationSlot(capture.Source.Slot),
            new PgOutputReplicationOptions("p", PgOutputProtocolVersion.V1), stop.Token).GetAsyncEnumerator();
        var reading = stranger.MoveNextAsync().AsTask();
        await capture.Until($"SELECT active FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'");

        var finding = Assert.Single(await capture.Capture.Check(CancellationToken.None));
        Assert.Contains($"slot {capture.Source.Slot} is in use by server process {same.ProcessID}", finding);
        Assert.Contains("client 127.0.0.1, application 'stranger'", finding);
        Assert.Contains($"pg_terminate_backend({same.ProcessID})", finding);
        Assert.False(await capture.Capture.EndStaleReader(CancellationToken.None));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    [Fact]
    public async Task Passwords_are_not_said_and_refusals_do_not_pass_by_themselves()
    {
        await using var owner = await server.Capture("CREATE TABLE t (id int PRIMARY KEY)");
        var connection = new NpgsqlConnectionStringBuilder(owner.Database) { Username = "nobody", Password = "s3cret!" }.ConnectionString;
        await using var capture = new CaptureUnderTest("secretive", owner.Database, ["public.*"], connection);
        var failure = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Prepare(null, CancellationToken.None));
        Assert.False(failure.Transient);
        Assert.Contains($"127.0.0.1:{server.Server.Port} (user nobody, database ", failure.Message);
        Assert.Contains("role \"nobody\" does not exist", failure.Message);
        Assert.DoesNotContain("s3cret!", failure.ToString());
    }

    private static string Publication(CaptureUnderTest capture) => "\"" + capture.Source.Publication.Replace("\"", "\"\"") + "\"";

    private static CaptureUnderTest As(CaptureUnderTest owner, string role) =>
        new(owner.Source.Name, owner.Database, [.. owner.Source.Tables.Select(t => t.Pattern)],
            new NpgsqlConnectionStringBuilder(owner.Database) { Username = role }.ConnectionString);

    private static Task Refused(CaptureUnderTest capture, params string[] words) => RefusedWithSlot(capture, "0", words);

    private static async Task RefusedWithSlot(CaptureUnderTest capture, string slots, params string[] words)
    {
        var publications = await capture.Scalar("SELECT count(*) FROM pg_publication");
        var failure = await Assert.ThrowsAsync<CaptureException>(() => capture.Capture.Prepare(null, CancellationToken.None));
        Assert.False(failure.Transient);
        var findings = await capture.Capture.Check(CancellationToken.None);
        Assert.Equal(failure.Message, string.Join(Environment.NewLine, findings));
        Assert.All(words, word => Assert.Contains(word, failure.Message));
        Assert.Equal(publications, await capture.Scalar("SELECT count(*) FROM pg_publication"));
        Assert.Equal(slots, await capture.Scalar($"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'"));
    }

    private static async Task NothingCreated(CaptureUnderTest capture)
    {
        Assert.Equal("0", await capture.Scalar("SELECT count(*) FROM pg_publication"));
        Assert.Equal("0", await capture.Scalar($"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{capture.Source.Slot}'"));
    }
}
