using CdcOrleans.Configuration.Yaml;

namespace CdcOrleans.Configuration.Reading;

/// <summary>What reading one file needs and finds.</summary>
internal sealed class Findings(string file, IReadOnlyDictionary<string, string> environment)
{
    private readonly List<ConfigurationFinding> _errors = [];
    private readonly List<ConfigurationFinding> _warnings = [];

    /// <summary>Variables for references.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; } = environment;

    /// <summary>What makes the file unusable, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Errors => InOrder(_errors);

    /// <summary>What is worth a word, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Warnings => InOrder(_warnings);

    /// <summary>The file cannot be used because of this.</summary>
    public void Refuse(Place place, string path, string message)
    {
        // A mapping may be read twice: for its type, and then by its type's keys.
        var finding = new ConfigurationFinding(file, place.Line, place.Column, path, message);
        if (!_errors.Contains(finding))
            _errors.Add(finding);
    }

    /// <summary>The file can be used, but somebody should know.</summary>
    public void Warn(Place place, string path, string message) => _warnings.Add(new(file, place.Line, place.Column, path, message));

    private static ConfigurationFinding[] InOrder(IEnumerable<ConfigurationFinding> findings) =>
        [.. findings.OrderBy(f => f.Line).ThenBy(f => f.Column)];
}
