namespace CdcOrleans.Grains.Budgets;

/// <summary>
/// Bytes that the awake entities of a silo, and the states that it wrote lately, may hold. Partitions put entities to sleep while it
/// is exceeded. Safe for concurrent use.
/// </summary>
/// <param name="limit">Bytes for all of them.</param>
/// <param name="partitions">Number of partitions that share it, for the share of each.</param>
internal sealed class EntityBudget(long limit, int partitions)
{
    private long _bytes;
    private long _leaving;

    /// <summary>Bytes counted, those of entities that are leaving included.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Whether more is held than may be, what is leaving not counted.</summary>
    public bool IsExceeded => Bytes - Interlocked.Read(ref _leaving) > limit;

    /// <summary>Whether waking more entities has to wait until some that are leaving have gone.</summary>
    public bool IsFull => Interlocked.Read(ref _leaving) > 0 && Bytes > limit + (limit / 4);

    /// <summary>Bytes of states that one partition keeps of entities that were created and not changed since: a sixteenth of the whole among all partitions.</summary>
    public long CreatedShare { get; } = limit / 16 / partitions;

    /// <summary>The same for states of other sleeping entities: a quarter.</summary>
    public long UsedShare { get; } = limit / 4 / partitions;

    /// <summary>Bytes came or went.</summary>
    public void Add(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Bytes that are counted will go soon; or have gone, when negative.</summary>
    public void Leaving(long bytes) => Interlocked.Add(ref _leaving, bytes);
}
