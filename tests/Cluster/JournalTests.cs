using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>The journal of a pipeline that is killed while it works: no change is missing, and none is in it twice.</summary>
public sealed class JournalTests(PostgresFixture postgres)
{
    [Fact]
    public async Task The_command_shows_the_history_of_an_entity()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, "CREATE TABLE items (id text PRIMARY KEY, n int)", journal: "{ size: 64MB }");
        await using var silo = await pipeline.Run();
        await PostgresServer.Execute(pipeline.Database, "INSERT INTO items VALUES ('a/b', 1)");
        await PostgresServer.Execute(pipeline.Database, "UPDATE items SET n = 2");
        await PostgresServer.Execute(pipeline.Database, "UPDATE items SET id = 'c'");
        await pipeline.Drained(silo);

        var (code, output) = await History("a/b");
        Assert.True(code == 0, output);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Matches("^COMMITTED +VERSION +XID +OPERATION +CHANGE", lines[0]);
        Assert.Matches("^20[0-9-]+ [0-9:.]+Z +[0-9A-F]+/[0-9A-F]+/[0-9]+ +[0-9]+ +delete +id: \"a/b\", n: 2 \\(key is now c\\)", lines[1]);
        Assert.EndsWith("n: 1 -> 2", lines[2].TrimEnd(), StringComparison.Ordinal);
        Assert.EndsWith("""create     {"id":"a/b","n":1}""", lines[3].TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(4, lines.Length);

        (_, output) = await History("a/b", "--limit", "1");
        Assert.Contains("There is more: --after 1:", output, StringComparison.Ordinal);
        (_, output) = await History("a/b", "--json", "--until", "2000-01-01");
        Assert.Contains("\"changes\": []", output, StringComparison.Ordinal);
        (code, output) = await History("a/b", "--since", "yesterday");
        Assert.NotEqual(0, code);
        Assert.Contains("'yesterday' is neither a time nor a position", output, StringComparison.Ordinal);

        async Task<(int Code, string Output)> History(string key, params string[] options)
        {
            await using var command = SiloProcess.Launch(
                pipeline.Gateway, ["history", "shop", "public.items", key, "--api", pipeline.Gateway.ToString(), .. options]);
            return (await command.Ended(), command.Output);
        }
    }

    [Fact]
    public async Task Killed_again_and_again_under_load_the_journal_has_every_change_once()
    {
        await using var pipeline = await Pipeline.Create(postgres.Server, CountedItems.Schema, journal: "{ age: 7d }");
        var silo = await pipeline.Run();
        var work = PostgresServer.Execute(pipeline.Database, "CALL work(10000)");
        for (var kill = 0; kill < 3; kill++)
        {
            var seen = pipeline.Events("items").Count;
            await silo.Until(() => Task.FromResult(pipeline.Events("items").Count > seen + 500), "to deliver");
            await silo.Kill();
            await silo.DisposeAsync();
            silo = await pipeline.Run();
        }

        await work;
        await pipeline.Drained(silo);
        await silo.Stop();
        await silo.DisposeAsync();

        // The version of a change is in its event.
        var delivered = pipeline.Events("items").Select(e => e.Version).ToHashSet();
        Assert.Equal(20_000, delivered.Count);
        Assert.Equal("20000 20000", await PostgresServer.Scalar(
            pipeline.Control, "SELECT count(*) || ' ' || count(DISTINCT (commit_lsn, ordinal)) FROM cdc.journal_1_1 WHERE before IS NOT NULL OR operation = 2"));
        var journal = (await PostgresServer.Scalar(pipeline.Control, "SELECT string_agg(commit_lsn || '/' || ordinal, ' ') FROM cdc.journal_1_1"))!
            .Split(' ').Select(v => v.Split('/')).Select(v => new ChangeVersion(new Lsn(ulong.Parse(v[0], CultureInfo.InvariantCulture)), long.Parse(v[1], CultureInfo.InvariantCulture)));
        Assert.Equal(delivered, journal.ToHashSet());
    }
}
