using Xunit;

namespace CdcOrleans.Conformance;

/// <summary>
/// Every script is run once against a database that this product and a real Debezium follow at the same time; what both wrote is
/// compared. Where Debezium cannot run, what it wrote before stands in (Recorded/). With CDC_CONFORMANCE_RECORD set to that folder,
/// what Debezium writes now is kept there.
/// </summary>
public sealed class ConformanceTests(Servers servers)
{
    /// <summary>One test each; <c>-trait script=keys</c> runs those of one script, <c>-trait options=initial</c> those under one variant.</summary>
    public static IEnumerable<TheoryDataRow<string, string>> Runs =>
        Variant.Runs.Select(r => new TheoryDataRow<string, string>(r.Script, r.Variant).WithTrait("script", r.Script).WithTrait("options", r.Variant));

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Events_are_those_of_debezium(string name, string options)
    {
        var variant = Variant.Named(options);
        var script = Script.Read(name);
        script = variant.IsInterrupted ? script.Interrupted() : variant.Reads != Reading.None ? script.Existing() : script;
        await using var run = await ScriptRun.Begin(servers, script, variant);
        await run.ReadExisting();
        foreach (var step in script.Run)
            await run.Play(step);
        await run.Settle();

        var expecting = Expected($"{name}.{options}", run.Theirs);
        var written = await Topics.Read(servers.Kafka.Bootstrap, run.Ours);
        var expected = await expecting;
        var terms = new Terms(servers.Peer is null, script.IsRestarted, variant.HasEntities, variant.SkipsUpdates, script.AltersTables, await run.Whole(), variant.Allowed);
        var differences = Comparison.Of(expected.Records, written, terms);
        var known = script.DifferencesUnder(variant).ToList();
        List<string> wrong = [.. differences.Except(known), .. known.Except(differences).Select(d => $"is known and not found: {d}")];
        if (wrong.Count > 0)
            Assert.Fail($"{expected.Peer}: {wrong.Count} differences.\n{string.Join('\n', wrong)}\n{await run.Account(written)}");
        Assert.NotEmpty(written);
    }

    private async Task<Recording> Expected(string run, string prefix)
    {
        if (servers.Peer is not { } peer)
            return Recording.Read(run);
        var recording = new Recording(peer.Version, await Topics.Read(servers.Kafka.Bootstrap, prefix));
        if (Environment.GetEnvironmentVariable("CDC_CONFORMANCE_RECORD") is { Length: > 0 } folder)
            recording.Write(folder, run);
        return recording;
    }
}
