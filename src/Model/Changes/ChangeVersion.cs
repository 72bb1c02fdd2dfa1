using System.Globalization;

namespace CdcOrleans.Model.Changes;

/// <summary>
/// The version of a change: the LSN of its transaction's commit record and the change's ordinal in that transaction.
/// Versions are totally ordered within a source, in commit order.
/// </summary>
/// <param name="CommitLsn">Position of the transaction's commit record.</param>
/// <param name="Ordinal">
/// Number of the change in its transaction, from 1. All changes in the log count, captured or not. An update counts as two, because an
/// update of the key becomes a delete and a create. The begin event has 0.
/// </param>
public readonly record struct ChangeVersion(Lsn CommitLsn, long Ordinal) : IComparable<ChangeVersion>
{
    /// <summary>Lower than every version of a change.</summary>
    public static readonly ChangeVersion None = new(Lsn.None, 0);

    /// <inheritdoc />
    public int CompareTo(ChangeVersion other)
    {
        var byCommit = CommitLsn.Value.CompareTo(other.CommitLsn.Value);
        return byCommit != 0 ? byCommit : Ordinal.CompareTo(other.Ordinal);
    }

    /// <summary><c>commit LSN/ordinal</c>, such as <c>16/B374D848/3</c>: the value of the <c>cdc.version</c> header.</summary>
    public override string ToString() => $"{CommitLsn}/{Ordinal}";

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">The text is not of that form.</exception>
    public static ChangeVersion Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var slash = text.LastIndexOf('/');
        if (slash > 0 && long.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal))
            return new ChangeVersion(Lsn.Parse(text[..slash]), ordinal);
        throw new FormatException($"'{text}' is not a change version; expected commit LSN and ordinal such as 16/B374D848/3.");
    }

#pragma warning disable CS1591 // The comparison operators need no documentation.
    public static bool operator <(ChangeVersion left, ChangeVersion right) => left.CompareTo(right) < 0;
    public static bool operator >(ChangeVersion left, ChangeVersion right) => left.CompareTo(right) > 0;
    public static bool operator <=(ChangeVersion left, ChangeVersion right) => left.CompareTo(right) <= 0;
    public static bool operator >=(ChangeVersion left, ChangeVersion right) => left.CompareTo(right) >= 0;
#pragma warning restore CS1591
}
