using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Changes;

/// <summary>
/// One change from the log. Usually it is a change of a row. Truncations, logical messages, begins and ends of transactions, and heartbeats
/// have the same form. Immutable: grains on one silo share it without a copy.
/// </summary>
public sealed record RowChange
{
    /// <summary>What happened.</summary>
    public required ChangeOperation Operation { get; init; }

    /// <summary>The schema of the table when the change was made. The columns of the images are in its order.</summary>
    public required TableSchema Table { get; init; }

    /// <summary>The entity within its source.</summary>
    public required EntityKey Entity { get; init; }

    /// <summary>The change's version.</summary>
    public required ChangeVersion Version { get; init; }

    /// <summary>Position of the row's record in the log.</summary>
    public required Lsn Lsn { get; init; }

    /// <summary>The transaction it was committed in.</summary>
    public required SourceTransaction Transaction { get; init; }

    /// <summary>The row before the change, as far as the log has it. Absent for creates and most updates.</summary>
    public RowImage Before { get; init; }

    /// <summary>
    /// Whether <see cref="Before"/> has only the key's columns, and NULL in all others (REPLICA IDENTITY DEFAULT or INDEX).
    /// </summary>
    public bool BeforeIsKeyOnly { get; init; }

    /// <summary>The row after the change; absent for deletes. May have <see cref="ColumnKind.Unchanged"/> columns.</summary>
    public RowImage After { get; init; }

    /// <summary>
    /// For an update that changed the key, which becomes a delete and a create: the row of the other of these two changes. Absent
    /// otherwise.
    /// </summary>
    public RowImage OtherRow { get; init; }

    /// <summary>
    /// Number of the event in its transaction, from 1 (Debezium's <c>total_order</c>); 0 when <c>events.transactions</c> is off.
    /// </summary>
    public int TotalOrder { get; init; }

    /// <summary>The same among the events of its table (<c>data_collection_order</c>).</summary>
    public int TableOrder { get; init; }

    /// <summary>Whether the images lack a value because it is too long (<see cref="ColumnKind.Omitted"/>).</summary>
    public bool HasOmitted { get; init; }

    /// <summary>For a row that a backfill read, its place in the backfill.</summary>
    public SnapshotMark Snapshot { get; init; }

    /// <summary>Approximate size in memory, in bytes. Windows and buffers count it.</summary>
    public int Size => (int)Math.Min(int.MaxValue, 160L + (2L * Entity.Key.Length) + Before.Size + After.Size + OtherRow.Size);

    /// <summary>Operation, table and version; no values of the row.</summary>
    public override string ToString() => $"{Operation} of {Entity.Table} at {Version}";
}
