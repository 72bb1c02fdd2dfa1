using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>The bounds of what is written at once.</summary>
internal sealed record CheckpointLimits
{
    /// <summary>The bounds that apply.</summary>
    public static readonly CheckpointLimits Default = new();

    /// <summary>Most rows in one transaction. A usual checkpoint has fewer.</summary>
    public int MostRows { get; init; } = 20_000;

    /// <summary>Most bytes in one transaction, unless a single row is larger.</summary>
    public long MostBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Largest row that is stored, in bytes. The server limits a statement and a value to 1 GB, and has the row in memory several times
    /// while it stores it. A larger row is left out: its state has the version only.
    /// </summary>
    public int MostOfOneRow { get; init; } = DeadLetterSlices.MostOfOne;
}

/// <summary>The part of a checkpoint that one transaction writes.</summary>
/// <param name="Commands">Its statements; the last one checks the fence and moves the progress.</param>
/// <param name="Rows">Number of states and dead letters.</param>
/// <param name="Bytes">Approximate bytes of them.</param>
internal sealed record CheckpointPart(IReadOnlyList<NpgsqlBatchCommand> Commands, int Rows, long Bytes)
{
    /// <summary>
    /// Returns a time limit: that of the connection, and in addition a second for each 1,000 rows and for each MB, so that what is allowed
    /// to be large is also allowed to take long.
    /// </summary>
    public int Seconds(int usual) => usual == 0 ? 0 : usual + (Rows / 1000) + (int)(Bytes >> 20);
}

/// <summary>
/// Splits a checkpoint into transactions of bounded size, so that each fits its time limit however large the checkpoint is. Only the last
/// one moves the progress. Dead letters, parked events and journal rows are written before states: if the process dies between two
/// transactions, they may exist of a change that is applied again, but no state exists without those of its changes.
/// </summary>
internal static class CheckpointParts
{
    /// <summary>Makes the parts one after the other, while they are written.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="limits">The bounds.</param>
    /// <param name="leftOut">Gets the entities whose row is too large to be stored.</param>
    public static IEnumerable<CheckpointPart> Of(Checkpoint checkpoint, CheckpointLimits limits, ICollection<EntityKey> leftOut)
    {
        var commands = new List<NpgsqlBatchCommand>();
        var rows = 0;
        var bytes = 0L;
        foreach (var (count, size, statements) in Slices(checkpoint, limits, leftOut))
        {
            if (rows > 0 && (rows + count > limits.MostRows || bytes + size > limits.MostBytes))
            {
                commands.Add(CheckpointStatements.Advance(checkpoint, isLast: false));
                yield return new CheckpointPart(commands, rows, bytes);
                commands = [];
                rows = 0;
                bytes = 0;
            }

            commands.AddRange(statements());
            rows += count;
            bytes += size;
        }

        commands.Add(CheckpointStatements.Advance(checkpoint, isLast: true));
        yield return new CheckpointPart(commands, rows, bytes);
    }

    // The statements of a slice are in one transaction. Their arrays are made when they are needed.
    private static IEnumerable<(int Rows, long Bytes, Func<IEnumerable<NpgsqlBatchCommand>> Statements)> Slices(
        Checkpoint checkpoint, CheckpointLimits limits, ICollection<EntityKey> leftOut)
    {
        foreach (var slice in DeadLetterSlices.Of(checkpoint))
            yield return (slice.Rows.Count, slice.Bytes, () => [CheckpointStatements.Insert(checkpoint.Source, slice.Rows)]);
        foreach (var slice in ParkedSlices.Of(checkpoint))
            yield return (slice.Rows, slice.Bytes, () => ParkedStatements.Of(checkpoint.Source, slice));
        foreach (var slice in JournalSlices.Of(checkpoint, limits.MostOfOneRow))
            yield return (slice.Rows.Count, slice.Bytes, () => [JournalSlices.Statement(slice.Rows)]);
        foreach (var slice in StateSlices.Of(checkpoint, limits.MostOfOneRow, leftOut))
            yield return (slice.Rows.Count, slice.Bytes, () => [CheckpointStatements.Upsert(slice.Rows)]);
    }
}
