namespace CdcOrleans.Model.Configuration;

/// <summary>Files of one JSON object a line, one file a topic.</summary>
public sealed record FileSinkConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public override string Type => "file";

    /// <summary>Folder of the files; created if missing.</summary>
    public required string Directory { get; init; }

    /// <summary>When a file is closed and a new one begins; null for never.</summary>
    public FileRotation? Rotation { get; init; }
}

/// <summary>When a file is closed and a new one begins. At least one of size and time is set.</summary>
public sealed record FileRotation
{
    /// <summary>Bytes that a file has at most, unless one write is larger; null for any size.</summary>
    public long? Size { get; init; }

    /// <summary>Length of the periods after each of which a new file begins, counted from midnight UTC of 1970-01-01; null for none.</summary>
    public TimeSpan? Every { get; init; }

    /// <summary>Number of closed files of a topic that are kept; older ones are deleted. Null: all.</summary>
    public int? Keep { get; init; }
}
