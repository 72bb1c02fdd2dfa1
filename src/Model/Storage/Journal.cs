using System.Globalization;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Storage;

/// <summary>A change in the journal of its table, with its images as they were when it was applied.</summary>
public sealed record JournalRow
{
    /// <summary>
    /// The change. As read from the journal, its own images are those of this row: <see cref="RowChange.After"/> is completed, and
    /// <see cref="RowChange.Before"/> is the row before the change if that has the schema of the change.
    /// </summary>
    public required RowChange Change { get; init; }

    /// <summary>The row before the change; absent when it is not known. Of a deletion, it may have the key's columns only.</summary>
    public RowImage Before { get; init; }

    /// <summary>Schema of <see cref="Before"/>, which may be older than that of the change; null when it is absent.</summary>
    public TableSchema? BeforeTable { get; init; }

    /// <summary>Whether <see cref="Before"/> has only the key's columns.</summary>
    public bool BeforeIsKeyOnly { get; init; }

    /// <summary>The row after the change; absent for deletions and truncations.</summary>
    public RowImage After { get; init; }

    /// <summary>Whether the images are too large: those that are absent here were left out.</summary>
    public bool IsTooLarge { get; init; }

    /// <summary>Approximate size in memory, in bytes. An image that is also that of the change counts once.</summary>
    public int Size => (int)Math.Min(
        int.MaxValue,
        80L + Change.Size
        + (ReferenceEquals(Before.ToStorage(), Change.Before.ToStorage()) ? 0 : Before.Size)
        + (ReferenceEquals(After.ToStorage(), Change.After.ToStorage()) ? 0 : After.Size));
}

/// <summary>
/// A position in the journal of a table. Positions are in the order of the changes, also where the log of the source began anew after an
/// accepted gap, and versions did too.
/// </summary>
/// <param name="Segment">Number of the segment of the journal.</param>
/// <param name="Version">Version of the change.</param>
public readonly record struct JournalPosition(int Segment, ChangeVersion Version) : IComparable<JournalPosition>
{
    /// <summary>Before every change.</summary>
    public static readonly JournalPosition Start = new(0, ChangeVersion.None);

    /// <summary>After every change.</summary>
    public static readonly JournalPosition End = new(int.MaxValue, new ChangeVersion(new Lsn(long.MaxValue), long.MaxValue));

    /// <inheritdoc />
    public int CompareTo(JournalPosition other)
    {
        var bySegment = Segment.CompareTo(other.Segment);
        return bySegment != 0 ? bySegment : Version.CompareTo(other.Version);
    }

    /// <summary>Segment and version, such as <c>3:16/B374D848/3</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Segment}:{Version}");

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">The text is not of that form.</exception>
    public static JournalPosition Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon > 0 && int.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out var segment)
            && ChangeVersion.Parse(text[(colon + 1)..]) is { CommitLsn.Value: <= long.MaxValue } version)
            return new JournalPosition(segment, version);
        throw new FormatException($"'{text}' is not a position in a journal; expected segment and version such as 3:16/B374D848/3.");
    }

#pragma warning disable CS1591 // The comparison operators need no documentation.
    public static bool operator <(JournalPosition left, JournalPosition right) => left.CompareTo(right) < 0;
    public static bool operator >(JournalPosition left, JournalPosition right) => left.CompareTo(right) > 0;
    public static bool operator <=(JournalPosition left, JournalPosition right) => left.CompareTo(right) <= 0;
    public static bool operator >=(JournalPosition left, JournalPosition right) => left.CompareTo(right) >= 0;
#pragma warning restore CS1591
}

/// <summary>Which changes of a journal are meant. The lower bounds are included, the upper ones are not. Null: no bound.</summary>
public sealed record JournalWindow
{
    /// <summary>All changes.</summary>
    public static readonly JournalWindow All = new();

    /// <summary>Changes that were committed at this time or later, by the clock of the source.</summary>
    public DateTimeOffset? SinceTime { get; init; }

    /// <summary>Changes that were committed before this time.</summary>
    public DateTimeOffset? UntilTime { get; init; }

    /// <summary>Changes whose commit record is at this position or later.</summary>
    public Lsn? SinceLsn { get; init; }

    /// <summary>Changes whose commit record is before this position.</summary>
    public Lsn? UntilLsn { get; init; }
}

/// <summary>A change that was read from a journal.</summary>
/// <param name="Position">Its position.</param>
/// <param name="Row">The change.</param>
public sealed record JournalEntry(JournalPosition Position, JournalRow Row);

/// <summary>What there is of the journal of a table.</summary>
/// <param name="Source">The source.</param>
/// <param name="Table">The table, as schema.table.</param>
/// <param name="TableId">Number of the table in the schema store.</param>
/// <param name="Segments">Number of its segments.</param>
/// <param name="Bytes">Bytes of them in the control database when they were last measured, once a minute.</param>
/// <param name="Oldest">A time before which it has no change, less than a minute before its oldest one; null when it is empty.</param>
public sealed record JournalStatus(string Source, string Table, int TableId, int Segments, long Bytes, DateTimeOffset? Oldest);

/// <summary>
/// Reads journals. They are written by checkpoints (<see cref="ICheckpointStore.Commit"/>), so the journal of a source is complete up to the
/// source's confirmed position; beyond it, a change may still be missing before one that is there. Safe for concurrent use.
/// </summary>
/// <remarks>Every method throws <see cref="StateUnavailableException"/> while the control database does not answer.</remarks>
public interface IJournalReader
{
    /// <summary>
    /// Returns changes of a table, in their order. A page is the last one when it is empty. Changes that retention deletes meanwhile are
    /// not returned.
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="table">The table, as schema.table.</param>
    /// <param name="after">Those after this position: that of the last change of the page before, or <see cref="JournalPosition.Start"/>.</param>
    /// <param name="window">Which ones.</param>
    /// <param name="most">Most changes.</param>
    /// <param name="mostBytes">Bytes of images after which the page ends. At least one change is returned.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<IReadOnlyList<JournalEntry>> Read(
        string source, string table, JournalPosition after, JournalWindow window, int most, long mostBytes, CancellationToken cancellation);

    /// <summary>
    /// Returns changes of an entity, the newest first, and truncations of its table while it existed. Images of more than 8 MiB together
    /// are left out (<see cref="JournalRow.IsTooLarge"/>).
    /// </summary>
    /// <param name="source">The source.</param>
    /// <param name="entity">The entity.</param>
    /// <param name="before">Those before this position: that of the last change of the page before, or <see cref="JournalPosition.End"/>.</param>
    /// <param name="window">Which ones.</param>
    /// <param name="most">Most changes.</param>
    /// <param name="mostBytes">Bytes of images after which the page ends. At least one change is returned.</param>
    /// <param name="cancellation">Cancels.</param>
    Task<JournalPage> History(
        string source, EntityKey entity, JournalPosition before, JournalWindow window, int most, long mostBytes, CancellationToken cancellation);

    /// <summary>Returns the journals that there are, also those of tables that have none any more in the configuration.</summary>
    Task<IReadOnlyList<JournalStatus>> List(CancellationToken cancellation);
}

/// <summary>A page of the history of an entity.</summary>
/// <param name="Entries">The changes, the newest first.</param>
/// <param name="HasMore">Whether there may be older ones.</param>
public sealed record JournalPage(IReadOnlyList<JournalEntry> Entries, bool HasMore);
