namespace CdcOrleans.Model.Backfills;

/// <summary>A chunk whose snapshot is stored. The states that took their row from it refer to it by its number.</summary>
/// <param name="Number">Its number; higher than those of earlier chunks.</param>
/// <param name="Snapshot">The snapshot.</param>
public sealed record StoredChunk(long Number, ChunkSnapshot Snapshot);
