using System.Globalization;

namespace CdcOrleans.Model.Backfills;

/// <summary>
/// A snapshot of the server (<c>pg_current_snapshot()</c>): which transactions' changes it shows. It names top-level transactions, as the log
/// does; those inside others (subtransactions) count as their top-level transaction. Immutable. All snapshots of a server are ordered: of
/// two, one shows everything that the other one shows.
/// </summary>
public sealed class TransactionSnapshot : IEquatable<TransactionSnapshot>
{
    private readonly ulong[] _open;

    /// <summary>Creates a snapshot.</summary>
    /// <param name="xmin">The lowest id that was open. All transactions below it had ended.</param>
    /// <param name="xmax">One above the highest id that had ended. No transaction from it on is visible.</param>
    /// <param name="open">The ids between the two that were open.</param>
    /// <exception cref="ArgumentException">The ids do not lie between the two.</exception>
    public TransactionSnapshot(ulong xmin, ulong xmax, params ReadOnlySpan<ulong> open)
    {
        if (xmin > xmax)
            throw new ArgumentException($"A snapshot cannot begin at {xmin} and end at {xmax}.");
        _open = open.ToArray();
        Array.Sort(_open);
        if (_open.Length > 0 && (_open[0] < xmin || _open[^1] >= xmax))
            throw new ArgumentException($"A snapshot from {xmin} to {xmax} cannot have {(_open[0] < xmin ? _open[0] : _open[^1])} as an open transaction.");
        (Xmin, Xmax) = (xmin, xmax);
    }

    /// <summary>The lowest id that was open. All transactions below it had ended.</summary>
    public ulong Xmin { get; }

    /// <summary>One above the highest id that had ended.</summary>
    public ulong Xmax { get; }

    /// <summary>The ids between <see cref="Xmin"/> and <see cref="Xmax"/> that were open, in ascending order.</summary>
    public ReadOnlySpan<ulong> Open => _open;

    /// <summary>Whether the snapshot shows what a committed transaction changed.</summary>
    /// <param name="xid">The full id (<see cref="TransactionIds.Widen"/>).</param>
    public bool IsVisible(ulong xid) => xid < Xmin || (xid < Xmax && Array.BinarySearch(_open, xid) < 0);

    /// <summary>Whether another snapshot shows every transaction that this one shows.</summary>
    public bool IsIncludedIn(TransactionSnapshot other)
    {
        ArgumentNullException.ThrowIfNull(other);

        // The id below Xmax had ended, so what ends later has more.
        if (Xmax > other.Xmax)
            return false;
        foreach (var open in other._open)
        {
            if (IsVisible(open))
                return false;
        }

        return true;
    }

    /// <summary>Reads the server's text, <c>xmin:xmax:open,open,…</c>.</summary>
    /// <exception cref="FormatException">The text is not of that form.</exception>
    public static TransactionSnapshot Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var parts = text.Split(':');
        if (parts.Length == 3 && TryId(parts[0], out var xmin) && TryId(parts[1], out var xmax))
        {
            string[] ids = parts[2].Length == 0 ? [] : parts[2].Split(',');
            var open = new ulong[ids.Length];
            var isRead = xmin <= xmax;
            for (var i = 0; i < ids.Length && isRead; i++)
                isRead = TryId(ids[i], out open[i]) && open[i] >= xmin && open[i] < xmax;
            if (isRead)
                return new TransactionSnapshot(xmin, xmax, open);
        }

        throw new FormatException($"'{text}' is not a snapshot; expected xmin, xmax and open transactions such as 10:20:10,14,15.");
    }

    /// <summary>The server's text, which <see cref="Parse"/> reads.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Xmin}:{Xmax}:{string.Join(',', _open.Select(o => o.ToString(CultureInfo.InvariantCulture)))}");

    /// <inheritdoc />
    public bool Equals(TransactionSnapshot? other) =>
        other is not null && Xmin == other.Xmin && Xmax == other.Xmax && _open.AsSpan().SequenceEqual(other._open);

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as TransactionSnapshot);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Xmin, Xmax, _open.Length);

    private static bool TryId(string text, out ulong id) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id);
}
