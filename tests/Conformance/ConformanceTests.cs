using CdcOrleans.Cluster;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Conformance;

/// <summary>
/// Every script is run once against a database that this product and a real Debezium follow at the same time; what both wrote is
/// compared. Where Debezium cannot run, what it wrote before stands in (Recorded/). With CDC_CONFORMANCE_RECORD set to that folder,
/// what Debezium writes now is kept there.
/// </summary>
public sealed class ConformanceTests(Servers servers)
{
    public static TheoryData<string, string> Runs => [.. Variant.Runs.Where(r => Environment.GetEnvironmentVariable("CDC_CONFORMANCE_ONLY") is not { Length: > 0 } only || $"{r.Script}.{r.Variant}".StartsWith(only, StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Events_are_those_of_debezium(string name, string options)
    {
        var cancel = TestContext.Current.CancellationToken;
        var script = Script.Read(name);
        var variant = Variant.Named(options);
        var database = $"{name.Replace('-', '_')}_{Guid.NewGuid():N}"[..30];
        var connection = await servers.Postgres.CreateDatabase(database);
        foreach (var block in script.Prepare)
            await PostgresServer.Execute(connection, block);
        await PostgresServer.Execute(connection, "CREATE TABLE public.finish (id int PRIMARY KEY)");
        await PostgresServer.Execute(connection, "CREATE PUBLICATION theirs FOR ALL TABLES");

        var (ours, theirs) = ($"ours-{database}", $"theirs-{database}");
        var folder = Directory.CreateTempSubdirectory("cdc-conformance-").FullName;
        try
        {
            var gateway = new Uri($"http://127.0.0.1:{PostgresServer.FreePort()}");
            var configuration = Path.Combine(folder, "cdc.yaml");
            await File.WriteAllTextAsync(configuration, Configuration(ours, connection, servers.Postgres.Connection(database + "_control"), gateway, variant), cancel);
            await using var silo = SiloProcess.Launch(gateway, "run", "--config", configuration);
            await silo.Ready();
            if (servers.Peer is { } peer)
                await peer.Capture(theirs, servers.Postgres.Port, database, variant.Settings);

            foreach (var block in script.Run)
                await PostgresServer.Execute(connection, block);
            await PostgresServer.Execute(connection, "INSERT INTO public.finish VALUES (1)");

            var written = await Topics.Read(servers.Kafka.Bootstrap, ours, cancel);
            var expected = await Expected($"{script.Name}.{variant.Name}", theirs, cancel);
            var differences = Comparison.Of(expected.Records, written, servers.Peer is null, variant.Allowed);
            Assert.True(differences.Count == 0, $"{expected.Peer}: {differences.Count} differences.\n{string.Join('\n', differences)}");
            Assert.NotEmpty(written);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<Recording> Expected(string run, string prefix, CancellationToken cancel)
    {
        if (servers.Peer is not { } peer)
            return Recording.Read(run);
        var recording = new Recording(peer.Version, await Topics.Read(servers.Kafka.Bootstrap, prefix, cancel));
        await peer.Remove(prefix);
        if (Environment.GetEnvironmentVariable("CDC_CONFORMANCE_RECORD") is { Length: > 0 } folder)
            recording.Write(folder, run);
        return recording;
    }

    private string Configuration(string source, string connection, string control, Uri gateway, Variant variant) => $$"""
        cluster: { id: {{source.Replace('_', '-')}}, silo_port: 0, client_port: 0 }
        control:
          connection: {{control}}
        sources:
          {{source}}:
            postgres: { connection: "{{connection}}", slot: ours_{{source[5..]}}, publication: ours }
            tables: ["*.*"]
            heartbeat: 0
            values: {{variant.Values}}
            events: {{variant.Events}}
        sinks:
          out: { type: kafka, bootstrap: "{{servers.Kafka.Bootstrap}}" }
        routes:
          - { from: "{{source}}.*", to: out, format: debezium }
        gateway: { listen: "{{gateway.ToString().TrimEnd('/')}}" }
        """;
}
