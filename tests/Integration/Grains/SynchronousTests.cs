using System.Text;
using System.Text.Json.Nodes;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Testing;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>The reader is the only synchronous standby of its source: every commit waits until it has confirmed it.</summary>
public sealed class SynchronousTests(ControlServer control)
{
    private const string Schema = """
        CREATE TABLE doc (id int PRIMARY KEY, n int, body text);
        ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
        CREATE TABLE pair (a int, b int, n int, gone int, PRIMARY KEY (b, a));
        CREATE TABLE whole (id int PRIMARY KEY, n int);
        ALTER TABLE whole REPLICA IDENTITY FULL;
        """;

    private static readonly TimeSpan Seconds = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Transactions_that_alter_tables_do_not_wait_for_themselves_and_their_events_are_right()
    {
        await using var server = await PostgresServer.Start();
        await using var cluster = await InProcessCluster.Start(control, server, 1, Schema);
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "ALTER SYSTEM SET synchronous_standby_names = '*'");
        await PostgresServer.Execute(cluster.Source, "SELECT pg_reload_conf()");
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(server.Connection(), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1",
            "the reader to be the synchronous standby");

        await Commit(3, "INSERT INTO doc VALUES (1, 0, repeat('x', 5000)); INSERT INTO pair VALUES (1, 2, 3, 4); INSERT INTO whole VALUES (1, 0)");

        // A column more, with a default.
        await Commit(5, "ALTER TABLE doc ADD m int NOT NULL DEFAULT 5; INSERT INTO doc VALUES (2, 0, 'y', 6); UPDATE doc SET n = 1 WHERE id = 1");
        Assert.Equal("""c null {"id":2,"n":0,"body":"y","m":6}""", Event("doc/2"));
        Assert.Equal("""u null {"id":1,"n":1,"body":"__debezium_unavailable_value","m":5}""", Event("doc/1"));
        await Commit(6, "UPDATE doc SET n = 2 WHERE id = 2");
        await Commit(7, "UPDATE doc SET n = 3 WHERE id = 2");
        Assert.Equal("""u {"id":2,"n":2,"body":"y","m":6} {"id":2,"n":3,"body":"y","m":6}""", Event("doc/2"));

        // A type of its own, and values that are rewritten without events.
        await Commit(8, "CREATE TYPE mood AS ENUM ('low', 'high'); ALTER TABLE doc ADD feels mood NOT NULL DEFAULT 'low'; UPDATE doc SET feels = 'high' WHERE id = 2");
        Assert.Equal("""u null {"id":2,"n":3,"body":"y","m":6,"feels":"high"}""", Event("doc/2"));
        await Commit(9, "ALTER TABLE doc ALTER m TYPE text USING 'm' || m; UPDATE doc SET n = 4 WHERE id = 2");
        Assert.Equal("""u null {"id":2,"n":4,"body":"y","m":"m6","feels":"high"}""", Event("doc/2"));
        await Commit(10, "UPDATE doc SET n = 5 WHERE id = 2");
        await Commit(11, "UPDATE doc SET n = 6 WHERE id = 2");
        await Commit(12, "UPDATE doc SET n = 7 WHERE id = 2");
        Assert.Equal("""u {"id":2,"n":6,"body":"y","m":"m6","feels":"high"} {"id":2,"n":7,"body":"y","m":"m6","feels":"high"}""", Event("doc/2"));

        // The key has another order than the columns, and its columns get other names.
        await Commit(13, "ALTER TABLE pair DROP gone; ALTER TABLE pair RENAME a TO first; UPDATE pair SET n = 4");
        Assert.Equal("""u null {"first":1,"b":2,"n":4}""", Event("pair/2,1"));
        await Commit(14, "TRUNCATE pair; INSERT INTO pair VALUES (1, 2, 5)");
        Assert.Equal("""c null {"first":1,"b":2,"n":5}""", Event("pair/2,1"));

        // With the whole old row in the log, nothing else is needed.
        await Commit(15, "ALTER TABLE whole ADD m int DEFAULT 7; UPDATE whole SET n = 1");
        Assert.Equal("""u {"id":1,"n":0,"m":7} {"id":1,"n":1,"m":7}""", Event("whole/1"));

        // A new table is added to the publication by us, and its transaction is none that was read.
        await Commit(15, "CREATE TABLE late (id int PRIMARY KEY, n int)");
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(cluster.Source, "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'late'") == "1", "the new table to be added");
        await Commit(16, "ALTER TABLE late ADD m int; INSERT INTO late VALUES (1, 2, 3)");
        Assert.Equal("""c null {"id":1,"n":2,"m":3}""", Event("late/1"));

        // What nothing in the log says: the wait of the transaction is ended.
        await Commit(17, "CREATE TYPE colour AS ENUM ('red', 'blue'); ALTER TABLE doc ADD colours colour[]; UPDATE doc SET colours = '{red,blue}' WHERE id = 2");
        Assert.Equal("""u {"id":2,"n":7,"body":"y","m":"m6","feels":"high","colours":null} {"id":2,"n":7,"body":"y","m":"m6","feels":"high","colours":["red","blue"]}""", Event("doc/2"));
        await Commit(18, "CREATE DOMAIN few AS int; ALTER TABLE doc ADD number few; UPDATE doc SET number = 3 WHERE id = 2");
        Assert.Equal("""u {"id":2,"n":7,"body":"y","m":"m6","feels":"high","colours":["red","blue"],"number":null} {"id":2,"n":7,"body":"y","m":"m6","feels":"high","colours":["red","blue"],"number":3}""", Event("doc/2"));
        await Commit(19, "ALTER TABLE pair DROP CONSTRAINT pair_pkey, ADD PRIMARY KEY (n, b); UPDATE pair SET first = 9");
        Assert.Equal("""u null {"first":9,"b":2,"n":5}""", Event("pair/5,2"));
        await Commit(20, "ALTER TABLE whole RENAME id TO number; UPDATE whole SET n = 2");
        Assert.Equal("""u {"number":1,"n":1,"m":7} {"number":1,"n":2,"m":7}""", Event("whole/1"));

        // Only that wait is ended: a transaction behind it goes on waiting until its changes are confirmed.
        var warnings = new Dictionary<string, List<string>> { ["altering"] = [], ["behind"] = [] };
        var altering = Warned("altering", "BEGIN; ALTER TABLE whole RENAME number TO id; UPDATE whole SET n = 3; COMMIT");
        await InProcessCluster.Until(
            async () => await PostgresServer.Scalar(server.Connection(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1", "the transaction to wait");
        var behind = Warned("behind", "UPDATE doc SET n = 8 WHERE id = 2");
        await Task.WhenAll(altering, behind).WaitAsync(Seconds);
        await cluster.Arrived(22);
        Assert.Contains("canceling wait for synchronous replication", Assert.Single(warnings["altering"]), StringComparison.Ordinal);
        Assert.Empty(warnings["behind"]);

        async Task Warned(string name, string statements)
        {
            await using var connection = new NpgsqlConnection(cluster.Source);
            connection.Notice += (_, notice) => warnings[name].Add(notice.Notice.MessageText);
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand(statements, connection);
            await command.ExecuteNonQueryAsync();
        }

        async Task Commit(int events, string statements)
        {
            await PostgresServer.Execute(cluster.Source, $"BEGIN; {statements}; COMMIT").WaitAsync(Seconds);
            await cluster.Arrived(events);
        }

        string Event(string entity)
        {
            var last = cluster.Delivered.Last(d => d.Event.Entity.ToString() == $"public.{entity}");
            var value = JsonNode.Parse(Encoding.UTF8.GetString(last.Event.Value!))!;
            return $"{value["op"]} {value["before"]?.ToJsonString() ?? "null"} {value["after"]?.ToJsonString() ?? "null"}";
        }
    }
}
