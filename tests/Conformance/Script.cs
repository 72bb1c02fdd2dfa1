namespace CdcOrleans.Conformance;

/// <summary>
/// A workload in SQL: blocks between blank lines, each sent by itself. The blocks before the line <c>-- run</c> prepare; those after
/// it are what the peers must tell alike, with marks of their own among them (see <see cref="StepKind"/>).
/// </summary>
internal sealed class Script
{
    private const string Mark = "-- run";

    private Script(string name, IReadOnlyList<string> prepare, IReadOnlyList<Step> run)
    {
        Name = name;
        Prepare = prepare;
        Run = run;
    }

    public string Name { get; }

    public IReadOnlyList<string> Prepare { get; }

    public IReadOnlyList<Step> Run { get; }

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Scripts");

    /// <summary>Names of all scripts.</summary>
    public static IEnumerable<string> All => Directory.GetFiles(Folder, "*.sql").Select(f => Path.GetFileNameWithoutExtension(f)).Order();

    public static Script Read(string name)
    {
        var blocks = File.ReadAllText(Path.Combine(Folder, $"{name}.sql")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var mark = Array.IndexOf(blocks, Mark);
        if (mark < 0)
            throw new InvalidDataException($"The script {name} has no block '{Mark}'.");
        return new Script(name, blocks[..mark], [.. blocks[(mark + 1)..].Select(Step.Parse)]);
    }

    /// <summary>The same script with both peers stopped in its middle, while one block goes on.</summary>
    public Script Interrupted()
    {
        var middle = Run.Count / 2;
        return new Script(Name, Prepare, [.. Run.Take(middle), new Step(StepKind.Stop), Run[middle], new Step(StepKind.Start), .. Run.Skip(middle + 1)]);
    }
}
