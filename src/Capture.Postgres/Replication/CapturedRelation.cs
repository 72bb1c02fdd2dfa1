using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A relation of the stream, with what is needed to decode its changes.</summary>
internal sealed class CapturedRelation
{
    /// <summary>Creates the relation of a captured table.</summary>
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

    /// <summary>Creates the relation of a table that the publication has and the configuration does not select.</summary>
    public CapturedRelation(byte[] announcement, string name)
    {
        Announcement = announcement;
        Name = name;
        Events = EventOptions.Default;
        KeyOfColumn = [];
    }

    /// <summary>
    /// The version after which another schema is valid although the log has no relation message there; null when it is not known. Only set
    /// while a part of the log is read again.
    /// </summary>
    public ChangeVersion? Until { get; init; }

    /// <summary>Numbers of the tables whose stored rows are not valid from the relation message on.</summary>
    public IReadOnlyList<int> Forgotten { get; init; } = [];

    /// <summary>The bytes of the relation message.</summary>
    public byte[] Announcement { get; }

    /// <summary><c>schema.table</c>.</summary>
    public string Name { get; }

    /// <summary>The numbered schema; null when the table is not selected.</summary>
    public TableSchema? Table { get; }

    /// <summary>Which of its changes make events.</summary>
    public EventOptions Events { get; }

    /// <summary>Whether old rows have only the key, even when the log says that they are complete.</summary>
    public bool OldRowsAreKeyOnly { get; init; }

    /// <summary>
    /// Whether two rows can have the same key for a while, and the log has complete old rows, which tell them apart (<see cref="MovedKeys"/>).
    /// </summary>
    public bool KeysMayRepeat { get; init; }

    /// <summary>Number of key columns; 0 without a key.</summary>
    public int KeyColumns { get; }

    /// <summary>For each column up to the last one of the key: its index in the key, or −1.</summary>
    public int[] KeyOfColumn { get; }
}
