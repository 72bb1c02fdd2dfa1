using CdcOrleans.Model.Changes;

namespace CdcOrleans.Model.Schemas;

/// <summary>
/// Identifies what the stored rows of a relation depend on besides its changes in the log. When one of the two values is another, rows may
/// have changed without an event, so the stored rows are not certainly right any more. Two equal values mean that nothing of this happened
/// in between.
/// </summary>
/// <param name="Files">
/// The files that store the relation's rows, of all its partitions. Rewriting, truncating, attaching and detaching change it.
/// </param>
/// <param name="Publication">The terms on which its changes are published: operations, row filter, columns, and since when.</param>
public sealed record RowsOrigin(string Files, string Publication)
{
    /// <summary>The relation had a name that is not selected. Its changes were not captured meanwhile.</summary>
    public static RowsOrigin NotSelected { get; } = new("", "");
}

/// <summary>The origin of a relation's rows, and since when the catalog has it.</summary>
/// <param name="Origin">The origin.</param>
/// <param name="Since">A position of the log at which the catalog had it already. What made it so is in the log before this position.</param>
public sealed record SeenOrigin(RowsOrigin Origin, Lsn Since);
