using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Sinks;

/// <summary>Formats completed changes as events. Stateless and safe for concurrent use.</summary>
public interface IEventFormat
{
    /// <summary>The format's name in the configuration.</summary>
    string Name { get; }

    /// <summary>Appends the events of one change in the order of their delivery, such as a delete and then its tombstone.</summary>
    void Format(in CompletedChange change, ICollection<SinkEvent> events);
}

/// <summary>A change whose images were completed from the stored row of its entity, ready for formatting.</summary>
public readonly struct CompletedChange
{
    /// <summary>The change as captured.</summary>
    public required RowChange Change { get; init; }

    /// <summary>Name of its source.</summary>
    public required string Source { get; init; }

    /// <summary>Name of the captured database.</summary>
    public required string Database { get; init; }

    /// <summary>Topic of the event.</summary>
    public required string Topic { get; init; }

    /// <summary>How values are written.</summary>
    public required ValueOptions Values { get; init; }

    /// <summary>Whether a delete is followed by a tombstone.</summary>
    public required bool Tombstones { get; init; }

    /// <summary>Why the event is sent: from the log, or again.</summary>
    public required EventOrigin Origin { get; init; }

    /// <summary>The row before the change; absent when it is not known.</summary>
    public RowImage Before { get; init; }

    /// <summary>
    /// Schema of <see cref="Before"/>, which may be older than that of the change; null when <see cref="Before"/> is absent.
    /// </summary>
    public TableSchema? BeforeTable { get; init; }

    /// <summary>
    /// The row after the change; absent for deletes. Columns that are still <see cref="ColumnKind.Unchanged"/> could not be completed.
    /// </summary>
    public RowImage After { get; init; }
}
