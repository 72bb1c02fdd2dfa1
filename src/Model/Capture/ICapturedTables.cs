using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Capture;

/// <summary>Which tables of a source are captured now.</summary>
public interface ICapturedTables
{
    /// <summary>Returns the tables that the configuration selects and the publication has, as <c>schema.table</c>, in the order of their names.</summary>
    /// <exception cref="CaptureException">The source does not answer, or has no publication; the message names the place and the remedy.</exception>
    Task<IReadOnlyList<string>> List(SourceConfiguration source, CancellationToken cancellation);
}
