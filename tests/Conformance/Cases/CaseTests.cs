using Xunit;

namespace CdcOrleans.Conformance.Cases;

/// <summary>
/// The failures that people reported of change data capture, as inputs of our own. Each is run through the product into Kafka, beside a real
/// Debezium on the same publication where it can run; the events and the entities in the end must be right, and Debezium's operations those that
/// the case says.
/// </summary>
public sealed class CaseTests(Servers servers)
{
    /// <summary>One test each; <c>-trait case=01</c> runs those of one number.</summary>
    public static IEnumerable<TheoryDataRow<string>> Names => Case.All.Select(n => new TheoryDataRow<string>(n).WithTrait("case", n[..2]));

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Outcome_is_right(string name)
    {
        var input = Case.Read(name);
        await Case.Needs(servers.Postgres, name[..2]);
        await using var run = await CaseRun.Create(servers, $"case_{name}");
        foreach (var block in input.Prepare)
            await run.Execute(block);
        await run.Prepare();
        await run.Start();
        await run.StartPeer();
        foreach (var block in input.Run)
            await run.Play(block);
        await run.Settle();
        await run.Check(input.Expected);
    }
}
