using System.Globalization;

namespace CdcOrleans.Model.Changes;

/// <summary>A log sequence number: a position in the write-ahead log of one PostgreSQL server. Totally ordered.</summary>
/// <param name="Value">The offset in bytes; 0 means "none" (PostgreSQL's <c>InvalidXLogRecPtr</c>).</param>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>The absent position, <c>0/0</c>.</summary>
    public static readonly Lsn None = new(0);

    /// <summary>Whether this is <see cref="None"/>.</summary>
    public bool IsNone => Value == 0;

    /// <inheritdoc />
    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    /// <summary>PostgreSQL's own notation: two hexadecimal halves, such as <c>16/B374D848</c>.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Value >> 32:X}/{(uint)Value:X}");

    /// <summary>Reads PostgreSQL's notation.</summary>
    /// <exception cref="FormatException">The text is not of the form <c>hex/hex</c>.</exception>
    public static Lsn Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0
            && uint.TryParse(text.AsSpan(0, slash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high)
            && uint.TryParse(text.AsSpan(slash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var low))
            return new Lsn(((ulong)high << 32) | low);
        throw new FormatException($"'{text}' is not a log sequence number; expected two hexadecimal halves such as 16/B374D848.");
    }

#pragma warning disable CS1591 // The comparison operators need no documentation.
    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;
    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;
    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;
    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;
#pragma warning restore CS1591
}
