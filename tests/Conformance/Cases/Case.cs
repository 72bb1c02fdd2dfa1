using System.Globalization;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Conformance.Cases;

/// <summary>
/// An input of a failure that people reported, with the right outcome. It is written as the scripts are (<see cref="Script"/>): blocks are
/// separated by blank lines, and the blocks before <c>-- run</c> prepare. The blocks <c>-- expect …</c> at the end have the outcome
/// (<see cref="ExpectedTable"/>). Further commands:
/// <list type="bullet">
/// <item><c>-- tables a, b</c>: the silo is stopped as planned and started with these tables in its configuration</item>
/// <item><c>-- not-held schema.table key</c>: the API answers that it does not hold the table</item>
/// <item><c>-- noticed schema.table, …</c>: wait until the source has seen that rows of these tables may have changed without an event</item>
/// </list>
/// </summary>
internal sealed record Case(string Name, IReadOnlyList<string> Prepare, IReadOnlyList<string> Run, IReadOnlyList<ExpectedTable> Expected)
{
    private static string Root => Path.Combine(AppContext.BaseDirectory, "Cases");

    /// <summary>Names of our own inputs.</summary>
    public static IEnumerable<string> All =>
        Directory.GetFiles(Path.Combine(Root, "Inputs"), "*.sql").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal);

    public static Case Read(string name)
    {
        var blocks = Blocks(Path.Combine(Root, "Inputs", $"{name}.sql"));
        var run = Array.IndexOf(blocks, "-- run");
        if (run < 0)
            throw new InvalidDataException($"The case {name} has no block '-- run'.");
        return new Case(name, blocks[..run], [.. blocks[(run + 1)..].Where(b => !IsExpected(b))], Tables(blocks));
    }

    /// <summary>The right outcome of an input that is kept elsewhere, by its number.</summary>
    public static IReadOnlyList<ExpectedTable> OutcomeOf(string number) => Tables(Blocks(Path.Combine(Root, "Field", $"{number}.txt")));

    /// <summary>Skips the test where the server lacks what a case needs: row filters and column lists of publications.</summary>
    public static async Task Needs(PostgresServer server, string number)
    {
        var version = await PostgresServer.Scalar(server.Connection(), "SHOW server_version_num");
        Assert.SkipWhen(number is "09" or "10" && int.Parse(version!, CultureInfo.InvariantCulture) < 150_000, "Publications have row filters and column lists from PostgreSQL 15 on.");
    }

    private static string[] Blocks(string path) =>
        File.ReadAllText(path).Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static List<ExpectedTable> Tables(IEnumerable<string> blocks) => [.. blocks.Where(IsExpected).Select(ExpectedTable.Parse)];

    private static bool IsExpected(string block) => block.StartsWith(ExpectedTable.Mark, StringComparison.Ordinal);
}
