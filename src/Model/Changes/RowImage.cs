using System.Buffers.Binary;

namespace CdcOrleans.Model.Changes;

/// <summary>The kind of a column's value in a <see cref="RowImage"/>.</summary>
public enum ColumnKind : byte
{
    /// <summary>SQL NULL.</summary>
    Null = (byte)'n',

    /// <summary>An out-of-line (TOAST) value that the update did not touch and the log does not carry.</summary>
    Unchanged = (byte)'u',

    /// <summary>A value that was left out because it is longer than its source allows (<see cref="Configuration.LargeValueOptions"/>).</summary>
    Omitted = (byte)'o',

    /// <summary>A value in PostgreSQL's text form, UTF-8.</summary>
    Text = (byte)'t',
}

/// <summary>
/// The values of one row in the form of the log: PostgreSQL's <c>TupleData</c>
/// (a 16-bit column count; per column a kind byte and, for <see cref="ColumnKind.Text"/>, a 32-bit length and the UTF-8 text).
/// The columns are in the order of the change's <see cref="Schemas.TableSchema"/>.
/// </summary>
public readonly struct RowImage
{
    private readonly byte[]? _tuple;

    /// <summary>Creates an image of a tuple. The caller must not change the array afterwards.</summary>
    public RowImage(byte[] tuple) => _tuple = tuple;

    /// <summary>Whether there is an image at all.</summary>
    public bool IsPresent => _tuple is not null;

    /// <summary>The tuple in the log's own form; empty when absent.</summary>
    public ReadOnlySpan<byte> Bytes => _tuple;

    /// <summary>The array behind the image, for storage; null when absent. Not to be written to.</summary>
    public byte[]? ToStorage() => _tuple;

    /// <summary>Size in bytes.</summary>
    public int Size => _tuple?.Length ?? 0;

    /// <summary>Number of columns.</summary>
    public int ColumnCount => _tuple is null ? 0 : BinaryPrimitives.ReadInt16BigEndian(_tuple);

    /// <summary>Whether any column is <see cref="ColumnKind.Unchanged"/>.</summary>
    public bool HasUnchanged
    {
        get
        {
            foreach (var column in this)
            {
                if (column.Kind == ColumnKind.Unchanged)
                    return true;
            }

            return false;
        }
    }

    /// <summary>Reads the columns from first to last.</summary>
    public Enumerator GetEnumerator() => new(_tuple);

    /// <summary>One column of an image.</summary>
    public readonly ref struct Column
    {
        internal Column(ColumnKind kind, ReadOnlySpan<byte> text)
        {
            Kind = kind;
            Text = text;
        }

        /// <summary>A column of which nothing is known.</summary>
        public static Column Unknown => new(ColumnKind.Unchanged, default);

        /// <summary>How the column stands.</summary>
        public ColumnKind Kind { get; }

        /// <summary>The value in PostgreSQL's text form, UTF-8; empty unless <see cref="Kind"/> is <see cref="ColumnKind.Text"/>.</summary>
        public ReadOnlySpan<byte> Text { get; }
    }

    /// <summary>A forward reader over an image's columns.</summary>
    public ref struct Enumerator
    {
        private ReadOnlySpan<byte> _rest;
        private int _left;
        private Column _current;

        internal Enumerator(byte[]? tuple)
        {
            _current = default;
            _rest = tuple;
            _left = 0;
            if (tuple is not null)
            {
                _left = BinaryPrimitives.ReadInt16BigEndian(_rest);
                _rest = _rest[2..];
            }
        }

        /// <summary>The column at hand.</summary>
        public readonly Column Current => _current;

        /// <summary>Goes to the next column; false after the last.</summary>
        /// <exception cref="InvalidDataException">The tuple holds a column of an unknown kind.</exception>
        public bool MoveNext()
        {
            if (_left == 0)
                return false;
            _left--;
            var kind = (ColumnKind)_rest[0];
            switch (kind)
            {
                case ColumnKind.Null or ColumnKind.Unchanged or ColumnKind.Omitted:
                    _current = new Column(kind, default);
                    _rest = _rest[1..];
                    return true;
                case ColumnKind.Text:
                    var length = BinaryPrimitives.ReadInt32BigEndian(_rest[1..]);
                    _current = new Column(kind, _rest.Slice(5, length));
                    _rest = _rest[(5 + length)..];
                    return true;
                default:
                    throw new InvalidDataException($"Unknown column kind 0x{(byte)kind:X2} in a row image.");
            }
        }
    }
}
