using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Checkpoints;

/// <summary>What a checkpoint changes of the parked events. Not safe for concurrent use.</summary>
internal sealed class ParkedChanges
{
    /// <summary>Events that were parked, in order.</summary>
    public List<ParkedEvent> Events { get; } = [];

    /// <summary>Events that were delivered or given up on.</summary>
    public HashSet<ParkedEventId> Removed { get; } = [];

    /// <summary>What became of dead letters that were delivered again.</summary>
    public List<LetterOutcome> Letters { get; } = [];

    /// <summary>The newest state of each entity at each sink.</summary>
    public Dictionary<(EntityKey, string), ParkedEntityState> Entities { get; } = [];

    /// <summary>Whether nothing changed.</summary>
    public bool IsEmpty => Events.Count == 0 && Removed.Count == 0 && Entities.Count == 0;

    /// <summary>Adds an event that was parked.</summary>
    public void Add(ParkedEvent parked)
    {
        Events.Add(parked);
        Removed.Remove(parked.Id);
    }

    /// <summary>Adds later changes.</summary>
    public void Append(ParkedChanges later)
    {
        foreach (var parked in later.Events)
            Add(parked);
        Removed.UnionWith(later.Removed);
        Letters.AddRange(later.Letters);
        foreach (var (key, state) in later.Entities)
            Entities[key] = state;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Events.Clear();
        Removed.Clear();
        Letters.Clear();
        Entities.Clear();
    }
}
