namespace CdcOrleans.Grains.Interfaces.Replays;

/// <summary>Runs one replay. Key: the id of the replay.</summary>
[Alias("cdc.IReplayGrain")]
public interface IReplayGrain : IGrainWithIntegerKey
{
    /// <summary>Makes sure that the replay runs, if it is to run.</summary>
    [Alias("EnsureRunning")]
    ValueTask EnsureRunning();

    /// <summary>A person paused, resumed or cancelled the replay.</summary>
    [Alias("Changed")]
    ValueTask Changed();
}
