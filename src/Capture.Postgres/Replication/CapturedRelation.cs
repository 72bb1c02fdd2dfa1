using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A relation that the stream has announced, ready for its changes.</summary>
internal sealed class CapturedRelation
{
    /// <summary>A table whose changes are captured.</summary>
    public CapturedRelation(byte[] announcement, TableSchema table, EventOptions events)
    {
        Announcement = announcement;
        Name = table.FullName;
        Table = table;
        Events = events;
        KeyColumns = table.Key.Length;
        KeyOfColumn = new int[table.Key.Length == 0 ? 0 : table.Key.Max() + 1];
        Array.Fill(KeyOfColumn, -1);
        for (var i = 0; i < table.Key.Length; i++)
            KeyOfColumn[table.Key[i]] = i;
    }

    /// <summary>A table that the publication carries and the configuration does not select.</summary>
    public CapturedRelation(byte[] announcement, string name)
    {
        Announcement = announcement;
        Name = name;
        Events = EventOptions.Default;
        KeyOfColumn = [];
    }

    /// <summary>
    /// The version after which it stands for something else, though the log announces nothing there; null while that is not known. Only
    /// a stretch of the log that is read again has one.
    /// </summary>
    public ChangeVersion? Until { get; init; }

    /// <summary>Tables whose held rows are not true from its announcement on.</summary>
    public IReadOnlyList<int> Forgotten { get; init; } = [];

    /// <summary>The relation message that it was made from.</summary>
    public byte[] Announcement { get; }

    /// <summary><c>schema.table</c>.</summary>
    public string Name { get; }

    /// <summary>The numbered schema; null when the table is not selected.</summary>
    public TableSchema? Table { get; }

    /// <summary>Which of its changes make events.</summary>
    public EventOptions Events { get; }

    /// <summary>Whether old rows hold the key alone even where the log says that they are whole.</summary>
    public bool OldRowsAreKeyOnly { get; init; }

    /// <summary>Number of the key's columns; 0 where it has none.</summary>
    public int KeyColumns { get; }

    /// <summary>Per column up to the last of the key: its place in the key, or −1.</summary>
    public int[] KeyOfColumn { get; }
}
