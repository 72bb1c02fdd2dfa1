using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Interfaces.Replays;

/// <summary>A part of a replay for one partition: some entities of one table, whose current rows or past changes go to one sink.</summary>
/// <param name="At">What identifies it. A part with another one ends those that came before.</param>
/// <param name="Sink">The sink.</param>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="Keys">The keys of the entities; null for those whose newest state is not durable yet.</param>
[GenerateSerializer, Immutable, Alias("cdc.ReplaySlice")]
public sealed record ReplaySlice(
    [property: Id(0)] ReplaySlice.Place At, [property: Id(1)] string Sink, [property: Id(2)] string Table, [property: Id(3)] string[]? Keys)
{
    /// <summary>The changes of the journal that are sent; null: the current rows.</summary>
    [Id(4)] public JournalWindow? Journal { get; init; }

    /// <summary>Identifies a part.</summary>
    /// <param name="Replay">The replay.</param>
    /// <param name="Run">How often a silo has begun to run it.</param>
    /// <param name="Number">Number of the part in this run.</param>
    [GenerateSerializer, Immutable, Alias("cdc.ReplaySlice.Place")]
    public readonly record struct Place([property: Id(0)] long Replay, [property: Id(1)] long Run, [property: Id(2)] long Number);
}

/// <summary>What a partition says of a part of a replay.</summary>
[GenerateSerializer, Immutable, Alias("cdc.ReplayAnswer")]
public sealed record ReplayAnswer
{
    /// <summary>
    /// Whether every row was delivered, or is durable as a parked event or a dead letter. If not, ask again with the same part.
    /// </summary>
    [Id(0)] public bool IsDone { get; init; }

    /// <summary>Rows, or changes, that were sent.</summary>
    [Id(1)] public int Sent { get; init; }

    /// <summary>Entities that were deleted, or of which nothing is stored or in the journal.</summary>
    [Id(2)] public int Absent { get; init; }

    /// <summary>Rows, or changes, whose row is not stored.</summary>
    [Id(3)] public int WithoutRow { get; init; }

    /// <summary>Events that were parked.</summary>
    [Id(4)] public int Parked { get; init; }

    /// <summary>Events that became dead letters.</summary>
    [Id(5)] public int Refused { get; init; }

    /// <summary>What it waits for; null when it waits for nothing in particular.</summary>
    [Id(6)] public string? Waiting { get; init; }

    /// <summary>Why it cannot be done at all, with the remedy; null when it can.</summary>
    [Id(7)] public string? Problem { get; init; }
}
