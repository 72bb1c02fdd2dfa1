using System.Text.RegularExpressions;

namespace CdcOrleans.Conformance;

/// <summary>
/// A workload in SQL. Blank lines separate its blocks, and each block is sent by itself. The blocks before the line <c>-- run</c> prepare.
/// For the blocks after it, both peers must send the same events; there may be commands among them (see <see cref="StepKind"/>). A line
/// <c>-- differs: …</c> is a difference that must be found, word for word; docs/compatibility.md says why. A line <c>-- differs
/// (entities-off): …</c> is a difference that is found only with <c>entities: off</c>, and a line with the name of a variant one that is
/// found only under that variant.
/// </summary>
internal sealed partial class Script
{
    private const string RunLine = "-- run";
    private const string Difference = "-- differs";

    private readonly IReadOnlyList<string> _differences;

    private Script(string name, IReadOnlyList<string> prepare, IReadOnlyList<Step> run, IReadOnlyList<string> differences)
    {
        Name = name;
        Prepare = prepare;
        Run = run;
        _differences = differences;
    }

    public string Name { get; }

    public IReadOnlyList<string> Prepare { get; }

    public IReadOnlyList<Step> Run { get; }

    /// <summary>Whether the peers are stopped and started in it.</summary>
    public bool IsRestarted => Run.Any(s => s.Kind == StepKind.Start);

    /// <summary>
    /// Whether tables are made or altered in it. Rows that were written at about that time may be forgotten, because the catalog shows the
    /// alteration before the log does (docs/architecture.md).
    /// </summary>
    public bool AltersTables => Run.Any(s => s.Kind == StepKind.Sql && Alteration().IsMatch(s.Sql));

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Scripts");

    /// <summary>Names of all scripts.</summary>
    public static IEnumerable<string> All => Directory.GetFiles(Folder, "*.sql").Select(f => Path.GetFileNameWithoutExtension(f)).Order();

    public static Script Read(string name)
    {
        var blocks = File.ReadAllText(Path.Combine(Folder, $"{name}.sql")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var run = Array.IndexOf(blocks, RunLine);
        if (run < 0)
            throw new InvalidDataException($"The script {name} has no block '{RunLine}'.");
        var known = blocks[..run].SelectMany(b => b.Split('\n')).Where(IsDifference).Select(l => l[Difference.Length..]);
        return new Script(name, [.. blocks[..run].Where(b => !IsDifference(b))], [.. blocks[(run + 1)..].Select(Step.Parse)], [.. known]);
    }

    /// <summary>Differences that are known under a variant.</summary>
    public IEnumerable<string> DifferencesUnder(Variant variant) =>
        from line in _differences
        let colon = line.IndexOf(": ", StringComparison.Ordinal)
        where line[..colon] is var when && (when.Length == 0 || when == $" ({variant.Name})" || (when == " (entities-off)" && !variant.HasEntities))
        select line[(colon + 2)..];

    /// <summary>The same script with both peers stopped in its middle, while one block goes on.</summary>
    public Script Interrupted()
    {
        var middle = Run.Index().First(s => s.Index >= Run.Count / 2 && s.Item.Kind == StepKind.Sql).Index;
        return new Script(Name, Prepare, [.. Run.Take(middle), new Step(StepKind.Stop), Run[middle], new Step(StepKind.Start), .. Run.Skip(middle + 1)], _differences);
    }

    /// <summary>The same script with its rows inserted before the peers start, and without anything else.</summary>
    public Script Existing() => new(
        Name, [.. Prepare, .. Run.Where(s => s.Kind == StepKind.Sql).Select(s => Change().Replace(s.Sql, "")).Where(s => s.Length > 0)], [],
        [.. _differences.Where(d => !d.StartsWith(": ", StringComparison.Ordinal) || d.Contains("[0].after", StringComparison.Ordinal))]);

    private static bool IsDifference(string text) => text.StartsWith(Difference, StringComparison.Ordinal);

    // All from the first statement of a block that changes rows.
    [GeneratedRegex(@"(^|;\s)(UPDATE|DELETE)\b.*", RegexOptions.Singleline)]
    private static partial Regex Change();

    [GeneratedRegex("TRUNCATE|(CREATE|ALTER|DROP) (TABLE|PUBLICATION)", RegexOptions.IgnoreCase)]
    private static partial Regex Alteration();
}
