using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Changes;

/// <summary>One event of the log: of a row, or in the shape of one (a truncation, a message, a transaction's begin or end, a heartbeat). Immutable: it passes between grains of a silo without a copy.</summary>
public sealed record RowChange
{
    /// <summary>What happened.</summary>
    public required ChangeOperation Operation { get; init; }

    /// <summary>The table's shape when the change was made; the images' columns follow it.</summary>
    public required TableSchema Table { get; init; }

    /// <summary>The entity within its source.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>The change's version.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>Position of the row's own record in the log.</summary>
    public required Lsn Lsn { get; init; }

    /// <summary>The transaction it was committed in.</summary>
    public required SourceTransaction Transaction { get; init; }

    /// <summary>The row before the change, as far as the log carries it; absent for creates and most updates.</summary>
    public RowImage Before { get; init; }

    /// <summary>Whether <see cref="Before"/> holds only the key's columns and NULL elsewhere (REPLICA IDENTITY DEFAULT or INDEX).</summary>
    public bool BeforeIsKeyOnly { get; init; }

    /// <summary>The row after the change; absent for deletes. May have <see cref="ColumnKind.Unchanged"/> columns.</summary>
    public RowImage After { get; init; }

    /// <summary>
    /// Where an update changed the key and so became the delete of one entity and the create of another: the row on the other side.
    /// Absent otherwise.
    /// </summary>
    public RowImage OtherRow { get; init; }

    /// <summary>Place among the events of its transaction, from 1; 0 where transactions are not told of.</summary>
    public int TotalOrder { get; init; }

    /// <summary>The same among those of its table.</summary>
    public int TableOrder { get; init; }

    /// <summary>Whether a value was left out of the images because it is too long (<see cref="ColumnKind.Omitted"/>).</summary>
    public bool HasOmitted { get; init; }

    /// <summary>Bytes this change keeps in memory, roughly: what windows and buffers count.</summary>
    public int Size => (int)Math.Min(int.MaxValue, 160L + (2L * Entity.Key.Length) + Before.Size + After.Size + OtherRow.Size);

    /// <summary>What it is and where; nothing of the row.</summary>
    public override string ToString() => $"{Operation} of {Entity.Table} at {Version}";
}
