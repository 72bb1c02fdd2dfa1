namespace CdcOrleans.Grains.Budgets;

/// <summary>
/// Limits the memory of a silo's awake entities and of the states that it wrote recently. While the limit is exceeded, partitions put
/// entities to sleep. Safe for concurrent use.
/// </summary>
/// <param name="limit">The limit, in bytes.</param>
/// <param name="partitions">Number of partitions of all sources, which share a part of the limit.</param>
internal sealed class EntityBudget(long limit, int partitions)
{
    /// <summary>Fewest bytes of <see cref="OnceShare"/>: a few entities.</summary>
    private const int LeastOnce = 96 * 1024;

    private long _bytes;
    private long _leaving;

    /// <summary>Bytes in use, with those of entities that are leaving.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Whether the bytes in use, without those of entities that are leaving, exceed the limit.</summary>
    public bool IsExceeded => Bytes - Interlocked.Read(ref _leaving) > limit;

    /// <summary>
    /// Whether no entity may be woken before others have left: with those that are leaving, the limit is exceeded by a quarter.
    /// </summary>
    public bool IsFull => Interlocked.Read(ref _leaving) > 0 && Bytes > limit + (limit / 4);

    /// <summary>Bytes of states that one partition keeps of entities that were created and not changed since: a sixteenth of the whole among all partitions.</summary>
    public long CreatedShare { get; } = limit / 16 / partitions;

    /// <summary>
    /// Bytes that one partition may keep of states of other entities that are asleep. All partitions together: 1/4 of the limit.
    /// </summary>
    public long UsedShare { get; } = limit / 4 / partitions;

    /// <summary>
    /// Bytes of awake entities of one partition that were used only once since they woke. All partitions together: 1/8 of the limit, and at
    /// least a few entities in each partition.
    /// </summary>
    public long OnceShare { get; } = Math.Max(LeastOnce, limit / 8 / partitions);

    /// <summary>Adds bytes in use; negative to remove them.</summary>
    public void Add(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Adds bytes of entities that are leaving; negative when they have left.</summary>
    public void Leaving(long bytes) => Interlocked.Add(ref _leaving, bytes);
}
