using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Configuration;

/// <summary>Which changes of a table become events. Instances with the same values are equal.</summary>
public sealed record EventOptions
{
    /// <summary>The defaults: everything but truncations, deletes followed by a tombstone.</summary>
    public static readonly EventOptions Default = new();

    /// <summary>Operations that make no event. The entities' stored rows are updated all the same. Default: truncations.</summary>
    public SkippedOperations Skip { get; init; } = SkippedOperations.Truncate;

    /// <summary>Whether a delete is followed by a tombstone, where the format has them. Default: yes.</summary>
    public bool Tombstones { get; init; } = true;

    /// <summary>Whether an operation makes no event. An update of the key counts as a delete and a create.</summary>
    public bool Skips(ChangeOperation operation) => Skip != SkippedOperations.None && (Skip & FlagOf(operation)) != 0;

    private static SkippedOperations FlagOf(ChangeOperation operation) => operation switch
    {
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

    /// <summary>Inserts, and the create of an update of the key.</summary>
    Create = 1,

    /// <summary>Updates, except those of the key.</summary>
    Update = 2,

    /// <summary>Deletes, and the delete of an update of the key.</summary>
    Delete = 4,

    /// <summary>Truncations.</summary>
    Truncate = 8,
}
