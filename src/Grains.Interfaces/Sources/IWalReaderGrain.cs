namespace CdcOrleans.Grains.Interfaces.Sources;

/// <summary>Owns a source's slot: reads, decodes, dispatches, acknowledges. Key: the source's name.</summary>
[Alias("cdc.IWalReaderGrain")]
public interface IWalReaderGrain : IGrainWithStringKey
{
    /// <summary>Makes sure that it runs. Harmless when it does.</summary>
    [Alias("EnsureRunning")]
    ValueTask EnsureRunning();

    /// <summary>Durable progress of partitions on one silo.</summary>
    [Alias("ReportProgress")]
    ValueTask ReportProgress(ProgressReport report);

    /// <summary>Where the source stands.</summary>
    [Alias("GetStatus")]
    ValueTask<SourceStatus> GetStatus();
}
