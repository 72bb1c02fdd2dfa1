namespace CdcOrleans.Configuration;

/// <summary>A configuration file is refused. Its message is all findings, one a line, in the order of the file.</summary>
public sealed class ConfigurationException : Exception
{
    /// <summary>Carries findings.</summary>
    /// <param name="findings">At least one.</param>
    public ConfigurationException(IReadOnlyList<ConfigurationFinding> findings)
        : base(string.Join('\n', findings))
    {
        Findings = findings;
    }

    /// <summary>Everything that was found wrong, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Findings { get; }
}
