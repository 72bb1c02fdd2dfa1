namespace CdcOrleans.Model.Configuration;

/// <summary>How values are handled that are too long to be kept in memory.</summary>
public sealed record LargeValueOptions
{
    /// <summary>The longest value, in bytes of its text form. Default 64 MiB; from 1 KiB to 1 GiB.</summary>
    public int Limit { get; init; } = 64 << 20;

    /// <summary>How a longer value is handled.</summary>
    public LargeValuePolicy Policy { get; init; } = LargeValuePolicy.Omit;
}

/// <summary>How a value is handled that is longer than the limit.</summary>
public enum LargeValuePolicy
{
    /// <summary>The event has the placeholder for unavailable values instead. A consumer can read the value from the table.</summary>
    Omit,

    /// <summary>The events of the change become dead letters. The entity continues with its next change.</summary>
    Refuse,
}
