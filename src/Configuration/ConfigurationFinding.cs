using System.Globalization;

namespace CdcOrleans.Configuration;

/// <summary>An error or a warning about a configuration file.</summary>
/// <param name="File">Path of the file, as it was given to <see cref="ConfigurationFile"/>.</param>
/// <param name="Line">Line from 1; 0 for the whole file.</param>
/// <param name="Column">Column from 1; 0 for the whole file.</param>
/// <param name="Path">Where in the structure, such as <c>sources.shop.postgres.slot</c>; empty for the file as a whole.</param>
/// <param name="Message">
/// The value, what is wrong with it, and the remedy. Never contains a substituted value or a connection string.
/// </param>
public sealed record ConfigurationFinding(string File, int Line, int Column, string Path, string Message)
{
    /// <summary><c>file:line:column: path: message</c>, without the parts that are missing.</summary>
    public override string ToString()
    {
        var place = Line > 0 ? string.Create(CultureInfo.InvariantCulture, $"{File}:{Line}:{Column}") : File;
        return Path.Length > 0 ? $"{place}: {Path}: {Message}" : $"{place}: {Message}";
    }
}
