namespace CdcOrleans.Model.Configuration;

/// <summary>Whether and how the existing rows of a table are read.</summary>
public sealed record BackfillOptions
{
    /// <summary>Most characters of a condition.</summary>
    public const int LongestWhere = 10_000;

    /// <summary>Highest <see cref="Rate"/>.</summary>
    public const int MostRate = 1_000_000;

    /// <summary>Shortest <see cref="ChunkTime"/>.</summary>
    public static readonly TimeSpan LeastChunkTime = TimeSpan.FromMilliseconds(50);

    /// <summary>Longest <see cref="ChunkTime"/>.</summary>
    public static readonly TimeSpan MostChunkTime = TimeSpan.FromSeconds(60);

    /// <summary>Highest <see cref="Parallel"/>.</summary>
    public const int MostParallel = 16;

    /// <summary>They are not read.</summary>
    public static BackfillOptions Never { get; } = new();

    /// <summary>When they are read. Default: never.</summary>
    public BackfillMode Mode { get; init; } = BackfillMode.Never;

    /// <summary>The condition in SQL that rows must meet; null for all rows.</summary>
    public string? Where { get; init; }

    /// <summary>The columns that are read besides those of the key; null for all.</summary>
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary>Most rows per second; 0 for no limit. Default 0, at most <see cref="MostRate"/>.</summary>
    public int Rate { get; init; }

    /// <summary>
    /// About how long the rows of one chunk are read, in one transaction. Default 1 s, from <see cref="LeastChunkTime"/> to
    /// <see cref="MostChunkTime"/>. Of the source, for all its backfills.
    /// </summary>
    public TimeSpan ChunkTime { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How many tables of one backfill are read at the same time. Default 2, from 1 to <see cref="MostParallel"/>. Of the source, for all its backfills.</summary>
    public int Parallel { get; init; } = 2;
}
