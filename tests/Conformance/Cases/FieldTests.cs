using Xunit;

namespace CdcOrleans.Conformance.Cases;

/// <summary>
/// Inputs that are kept elsewhere: the folder that CDC_TEST_CASES names has <c>sql/NN-name.setup.sql</c> and <c>sql/NN-name.sql</c> for psql.
/// What must come of them is here, in <c>Cases/Field</c>.
/// </summary>
public sealed class FieldTests(Servers servers)
{
    private static readonly string[] Numbers = ["01", "02", "04", "06", "07", "08", "09", "10", "12", "13", "17"];

    public static IEnumerable<TheoryDataRow<string>> Simple => Numbers.Select(n => new TheoryDataRow<string>(n).WithTrait("case", n));

    [Theory]
    [MemberData(nameof(Simple))]
    public async Task Outcome_is_right(string number)
    {
        var (setup, script) = (FieldCase.File(number, ".setup"), FieldCase.File(number));
        await Case.Needs(servers.Postgres, number);
        await using var run = await CaseRun.Create(servers, $"field_{number}");
        await run.Psql(setup);
        await run.Prepare();
        await run.Start();
        await run.StartPeer();
        await run.Psql(script);
        await run.Settle();
        await run.Check(Case.OutcomeOf(number));
    }
}

/// <summary>The files of inputs that are kept elsewhere.</summary>
internal static class FieldCase
{
    /// <summary>Finds a file of an input; the test is skipped where there is no such folder.</summary>
    /// <param name="number">Number of the case.</param>
    /// <param name="part">What is between its name and <c>.sql</c>.</param>
    public static string File(string number, string part = "")
    {
        var folder = Environment.GetEnvironmentVariable("CDC_TEST_CASES");
        Assert.SkipWhen(folder is null or "", "CDC_TEST_CASES names no folder with inputs.");
        var files = Directory.GetFiles(Path.Combine(folder!, "sql"), $"{number}-*{part}.sql");
        return files.Single(f => Path.GetFileName(f) is var name && (part.Length > 0 || name.Count(c => c == '.') == 1));
    }
}
