namespace CdcOrleans.Model.Changes;

/// <summary>What an event says about the backfill that read its row: the value of Debezium's <c>source.snapshot</c>.</summary>
public enum SnapshotMark : byte
{
    /// <summary>No backfill read it.</summary>
    None,

    /// <summary>A row of a first backfill.</summary>
    Row,

    /// <summary>The first row of a first backfill.</summary>
    First,

    /// <summary>The first row of a table.</summary>
    FirstInTable,

    /// <summary>The last row of a table.</summary>
    LastInTable,

    /// <summary>The last row of a first backfill.</summary>
    Last,

    /// <summary>A row that was read later, because somebody asked for it or something was missed.</summary>
    Incremental,
}
