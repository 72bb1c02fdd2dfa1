using CdcOrleans.Configuration.Yaml;

namespace CdcOrleans.Configuration.Reading;

/// <summary>What is needed to read a file, and what was found in it.</summary>
internal sealed class Findings(string file, IReadOnlyDictionary<string, string> environment)
{
    private readonly List<ConfigurationFinding> _errors = [];
    private readonly List<ConfigurationFinding> _warnings = [];

    /// <summary>Environment variables for references.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; } = environment;

    /// <summary>Errors, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Errors => InOrder(_errors);

    /// <summary>Warnings, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Warnings => InOrder(_warnings);

    /// <summary>Adds an error: the file cannot be used.</summary>
    public void Refuse(Place place, string path, string message)
    {
        // A mapping may be read twice: first for its type, and then with the keys of that type.
        var finding = new ConfigurationFinding(file, place.Line, place.Column, path, message);
        if (!_errors.Contains(finding))
            _errors.Add(finding);
    }

    /// <summary>Adds a warning: the file can be used.</summary>
    public void Warn(Place place, string path, string message) => _warnings.Add(new(file, place.Line, place.Column, path, message));

    private static ConfigurationFinding[] InOrder(IEnumerable<ConfigurationFinding> findings) =>
        [.. findings.OrderBy(f => f.Line).ThenBy(f => f.Column)];
}
