namespace CdcOrleans.Grains.Interfaces.Changes;

/// <summary>What happened to a row.</summary>
public enum ChangeOperation : byte
{
    /// <summary>The row was inserted.</summary>
    Create = 1,

    /// <summary>The row was updated and kept its key.</summary>
    Update = 2,

    /// <summary>The row was deleted.</summary>
    Delete = 3,

    /// <summary>The row was read by a backfill.</summary>
    Read = 4,
}
