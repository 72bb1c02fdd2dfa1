namespace CdcOrleans.Configuration;

/// <summary>The configuration file is refused. The message has all findings, one per line, in the order of the file.</summary>
public sealed class ConfigurationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="findings">At least one.</param>
    public ConfigurationException(IReadOnlyList<ConfigurationFinding> findings)
        : base(string.Join('\n', findings))
    {
        Findings = findings;
    }

    /// <summary>Everything that was found wrong, in the order of the file.</summary>
    public IReadOnlyList<ConfigurationFinding> Findings { get; }
}
