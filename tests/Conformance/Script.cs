namespace CdcOrleans.Conformance;

/// <summary>
/// A workload in SQL: blocks between blank lines, each sent by itself. The blocks before the line <c>-- run</c> prepare; those after
/// it are what the peers must tell alike, with marks of their own among them (see <see cref="StepKind"/>). A line <c>-- differs: …</c>
/// names a difference that must be found, word by word; docs/compatibility.md says why ours is better. One that is found only where no
/// rows are held begins with <c>-- differs (unheld): </c>, one that is found under one variant alone with its name there.
/// </summary>
internal sealed class Script
{
    private const string Mark = "-- run";
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

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Scripts");

    /// <summary>Names of all scripts.</summary>
    public static IEnumerable<string> All => Directory.GetFiles(Folder, "*.sql").Select(f => Path.GetFileNameWithoutExtension(f)).Order();

    public static Script Read(string name)
    {
        var blocks = File.ReadAllText(Path.Combine(Folder, $"{name}.sql")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var mark = Array.IndexOf(blocks, Mark);
        if (mark < 0)
            throw new InvalidDataException($"The script {name} has no block '{Mark}'.");
        var known = blocks[..mark].SelectMany(b => b.Split('\n')).Where(IsDifference).Select(l => l[Difference.Length..]);
        return new Script(name, [.. blocks[..mark].Where(b => !IsDifference(b))], [.. blocks[(mark + 1)..].Select(Step.Parse)], [.. known]);
    }

    /// <summary>Differences that are known under a variant.</summary>
    public IEnumerable<string> DifferencesUnder(Variant variant) =>
        from line in _differences
        let colon = line.IndexOf(": ", StringComparison.Ordinal)
        where line[..colon] is var when && (when.Length == 0 || when == $" ({variant.Name})" || (when == " (unheld)" && !variant.IsHeld))
        select line[(colon + 2)..];

    /// <summary>The same script with both peers stopped in its middle, while one block goes on.</summary>
    public Script Interrupted()
    {
        var middle = Run.Index().First(s => s.Index >= Run.Count / 2 && s.Item.Kind == StepKind.Sql).Index;
        return new Script(Name, Prepare, [.. Run.Take(middle), new Step(StepKind.Stop), Run[middle], new Step(StepKind.Start), .. Run.Skip(middle + 1)], _differences);
    }

    private static bool IsDifference(string text) => text.StartsWith(Difference, StringComparison.Ordinal);
}
