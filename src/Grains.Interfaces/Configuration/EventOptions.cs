using CdcOrleans.Grains.Interfaces.Changes;

namespace CdcOrleans.Grains.Interfaces.Configuration;

/// <summary>Which events a table's changes make. Two of the same choices are equal.</summary>
public sealed record EventOptions
{
    /// <summary>The defaults: everything but truncations, deletes followed by a tombstone.</summary>
    public static readonly EventOptions Default = new();

    /// <summary>Operations that make no event. What entities hold follows them all the same. Default: truncations.</summary>
    public SkippedOperations Skip { get; init; } = SkippedOperations.Truncate;

    /// <summary>Whether a delete is followed by a tombstone, where the format has them. Default: yes.</summary>
    public bool Tombstones { get; init; } = true;

    /// <summary>Whether a change makes no event.</summary>
    /// <param name="operation">What it is.</param>
    /// <param name="changesKey">Whether it is one half of an update that changed the key: then it counts as the update.</param>
    public bool Skips(ChangeOperation operation, bool changesKey) => Skip != SkippedOperations.None && (Skip & FlagOf(operation, changesKey)) != 0;

    private static SkippedOperations FlagOf(ChangeOperation operation, bool changesKey) => operation switch
    {
        ChangeOperation.Create or ChangeOperation.Delete when changesKey => SkippedOperations.Update,
        ChangeOperation.Create => SkippedOperations.Create,
        ChangeOperation.Update => SkippedOperations.Update,
        ChangeOperation.Delete => SkippedOperations.Delete,
        ChangeOperation.Truncate => SkippedOperations.Truncate,
        _ => SkippedOperations.None,
    };
}

/// <summary>Operations that make no event.</summary>
[Flags]
public enum SkippedOperations
{
    /// <summary>None is skipped.</summary>
    None = 0,

    /// <summary>Inserts.</summary>
    Create = 1,

    /// <summary>Updates, those of the key included.</summary>
    Update = 2,

    /// <summary>Deletes.</summary>
    Delete = 4,

    /// <summary>Truncations.</summary>
    Truncate = 8,
}
