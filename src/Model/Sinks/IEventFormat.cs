using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Sinks;

/// <summary>Turns completed changes into events. Stateless and safe for concurrent use.</summary>
public interface IEventFormat
{
    /// <summary>The format's name in the configuration.</summary>
    string Name { get; }

    /// <summary>Appends the event or events of one change, in the order in which they must leave (a delete, then its tombstone).</summary>
    void Format(in CompletedChange change, ICollection<SinkEvent> events);
}

/// <summary>A change with its images completed from the entity's held row, ready to be formatted.</summary>
public readonly struct CompletedChange
{
    /// <summary>The change as captured.</summary>
    public required RowChange Change { get; init; }

    /// <summary>Name of its source.</summary>
    public required string Source { get; init; }

    /// <summary>Name of the captured database.</summary>
    public required string Database { get; init; }

    /// <summary>Topic that the route gives it.</summary>
    public required string Topic { get; init; }

    /// <summary>How values are written.</summary>
    public required ValueOptions Values { get; init; }

    /// <summary>Whether a delete is followed by a tombstone.</summary>
    public required bool Tombstones { get; init; }

    /// <summary>Where it comes from.</summary>
    public required EventOrigin Origin { get; init; }

    /// <summary>The row before, as far as it is known; absent when it is not.</summary>
    public RowImage Before { get; init; }

    /// <summary>Shape of <see cref="Before"/>, which may be older than the change's; null when absent.</summary>
    public TableSchema? BeforeTable { get; init; }

    /// <summary>The row after; absent for deletes. Columns still <see cref="ColumnKind.Unchanged"/> could not be completed.</summary>
    public RowImage After { get; init; }
}
