using CdcOrleans.Grains.Interfaces.Calls;

namespace CdcOrleans.Grains.Interfaces.Sources;

/// <summary>
/// The WAL reader of a source. It owns the slot: it reads, decodes, dispatches and acknowledges. Key: the name of the source.
/// </summary>
[Alias("cdc.IWalReaderGrain")]
public interface IWalReaderGrain : IGrainWithStringKey
{
    /// <summary>Starts the reader if it does not run.</summary>
    [Alias("EnsureRunning"), ResponseTimeout(CallPatience.Brief)]
    ValueTask EnsureRunning();

    /// <summary>Takes the durable progress of the partitions on one silo.</summary>
    [Alias("ReportProgress"), ResponseTimeout(CallPatience.Brief)]
    ValueTask ReportProgress(ProgressReport report);

    /// <summary>
    /// Writes a heartbeat into the log of the source, so that the confirmed position soon reaches what the log has now. Does nothing while the
    /// reader does not stream.
    /// </summary>
    [Alias("WriteHeartbeat")]
    ValueTask WriteHeartbeat();

    /// <summary>Returns the status of the source.</summary>
    [Alias("GetStatus")]
    ValueTask<SourceStatus> GetStatus();
}
