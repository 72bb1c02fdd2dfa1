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
/// The values of one row in the form of the log: PostgreSQL's <c>TupleData</c> (<see cref="RowImageReader"/>).
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
    public int ColumnCount => _tuple is null ? 0 : RowImageReader.CountOf(_tuple);

    /// <summary>Whether any column is <see cref="ColumnKind.Unchanged"/>.</summary>
    public bool HasUnchanged => GetEnumerator().Any(ColumnKind.Unchanged);

    /// <summary>Reads the columns from first to last.</summary>
    public RowImageReader GetEnumerator() => _tuple is null ? default : new RowImageReader(_tuple);

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
}
