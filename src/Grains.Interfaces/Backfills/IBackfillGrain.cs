namespace CdcOrleans.Grains.Interfaces.Backfills;

/// <summary>Runs one backfill. Key: the id of the backfill.</summary>
[Alias("cdc.IBackfillGrain")]
public interface IBackfillGrain : IGrainWithIntegerKey
{
    /// <summary>Makes sure that the backfill runs, if it is to run.</summary>
    [Alias("EnsureRunning")]
    ValueTask EnsureRunning();

    /// <summary>A person paused, resumed or cancelled the backfill.</summary>
    [Alias("Changed")]
    ValueTask Changed();
}
