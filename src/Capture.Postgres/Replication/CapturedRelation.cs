using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>A relation that the stream has announced, ready for its changes.</summary>
internal sealed class CapturedRelation
{
    /// <summary>A table whose changes are captured.</summary>
    public CapturedRelation(byte[] announcement, TableSchema table)
    {
        Announcement = announcement;
        Name = table.FullName;
        Table = table;
        KeyColumns = table.Key.Length;
        KeyOfColumn = new int[table.Key.Max() + 1];
        Array.Fill(KeyOfColumn, -1);
        for (var i = 0; i < table.Key.Length; i++)
            KeyOfColumn[table.Key[i]] = i;
    }

    /// <summary>A table that the publication carries and the configuration does not select.</summary>
    public CapturedRelation(byte[] announcement, string name)
    {
        Announcement = announcement;
        Name = name;
        KeyOfColumn = [];
    }

    /// <summary>The relation message that it was made from.</summary>
    public byte[] Announcement { get; }

    /// <summary><c>schema.table</c>.</summary>
    public string Name { get; }

    /// <summary>The numbered schema; null when the table is not selected.</summary>
    public TableSchema? Table { get; }

    /// <summary>Number of the key's columns.</summary>
    public int KeyColumns { get; }

    /// <summary>Per column up to the last of the key: its place in the key, or −1.</summary>
    public int[] KeyOfColumn { get; }

    /// <summary>Whether somebody was told that its truncation is not captured.</summary>
    public bool TruncateReported { get; set; }
}
