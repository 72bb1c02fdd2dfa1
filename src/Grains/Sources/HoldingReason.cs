using System.Globalization;
using CdcOrleans.Grains.Interfaces.Sources;

namespace CdcOrleans.Grains.Sources;

/// <summary>Finds out from the counters of the silos why the window of a source is full.</summary>
internal static class HoldingReason
{
    /// <summary>Returns the reason as a sentence, with the remedy where there is one.</summary>
    public static string Of(IReadOnlyCollection<SiloFigures> silos)
    {
        foreach (var silo in silos)
        {
            if (silo.CheckpointError is { } error)
                return $"The window is full: checkpoints fail on the control database: {error}";
            foreach (var sink in silo.Sinks)
            {
                if (sink is { Pause: { } pause, Held: > 0 })
                    return string.Create(CultureInfo.InvariantCulture, $"The window is full: sink '{sink.Name}' is paused by {pause.Who} since {pause.Since.UtcDateTime:u}. Remedy: resume it with 'cdc sinks resume {sink.Name}', or with POST /api/v1/sinks/{sink.Name}/resume.");
                if (!sink.Healthy)
                    return $"The window is full: sink '{sink.Name}' does not accept events: {sink.LastError}";
            }
        }

        foreach (var silo in silos)
        {
            if (silo.WaitingForMemory > 0)
            {
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"The window is full: applies wait for memory: {silo.MemoryOfApplies + silo.MemoryOfUnsaved} of {silo.MemoryLimit - silo.MemoryOfWindow} bytes are in use. It continues as sinks and the control database take what they have. With a larger 'memory' of the source, more large rows are handled at once.");
            }
        }

        return "The window is full: sinks or the control database are slower than the source.";
    }
}
