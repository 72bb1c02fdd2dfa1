namespace CdcOrleans.Model.Configuration;

/// <summary>What becomes of values that are too long to pass through memory.</summary>
public sealed record LargeValueOptions
{
    /// <summary>Bytes of its text form that a value may have. Default 64 MiB, 1 KiB to 1 GiB.</summary>
    public int Limit { get; init; } = 64 << 20;

    /// <summary>What becomes of one that has more.</summary>
    public LargeValuePolicy Policy { get; init; } = LargeValuePolicy.Omit;
}

/// <summary>What becomes of a value that is too long.</summary>
public enum LargeValuePolicy
{
    /// <summary>The placeholder of unavailable values stands in its place; the row can be had from its table by its key.</summary>
    Omit,

    /// <summary>The change's events become dead letters; the entity goes on.</summary>
    Refuse,
}
