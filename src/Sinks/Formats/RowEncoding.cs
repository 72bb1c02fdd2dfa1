using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Sinks.Formats;

/// <summary>
/// Writes the rows and keys of one table schema. There is one instance per schema and options, as long as the schema is used.
/// </summary>
internal sealed class RowEncoding
{
    private static readonly ConditionalWeakTable<TableSchema, ConcurrentDictionary<ValueOptions, RowEncoding>> Known = [];

    [ThreadStatic]
    private static RowEncoding? _lastOfThread;

    private readonly TableSchema _table;
    private readonly ValueOptions _options;
    private readonly ColumnForm[] _columns;
    private readonly ColumnForm[] _key;
    private SourceBlock? _source;
    private Mapping? _mapping;

    private RowEncoding(TableSchema table, ValueOptions options)
    {
        _table = table;
        _options = options;
        _columns = [.. table.Columns.Select((c, i) => ColumnForm.Of(c, options, isFirst: i == 0))];
        _key = [.. table.Key.Select((c, i) => ColumnForm.Of(table.Columns[c], options, isFirst: i == 0))];
    }

    /// <summary>Whether the table has a key.</summary>
    public bool HasKey => _key.Length > 0;

    /// <summary>The encoding of a table schema under these options.</summary>
    public static RowEncoding Of(TableSchema table, ValueOptions options)
    {
        if (_lastOfThread is { } last && ReferenceEquals(last._table, table) && ReferenceEquals(last._options, options))
            return last;
        return _lastOfThread = Known.GetOrCreateValue(table).GetOrAdd(options, static (o, t) => new RowEncoding(t, o), table);
    }

    /// <summary>The <c>source</c> block of this table's events.</summary>
    public SourceBlock Source(string source, string database)
    {
        if (_source is { } block && block.Source == source && block.Database == database)
            return block;
        // Events that are not of a table have no table name.
        return _source = new SourceBlock(source, database, _table.Schema, _table.Schema.Length == 0 ? "" : _table.Name);
    }

    /// <summary>
    /// Writes a row of this schema as a JSON object. In a key-only image, NULL only means that the log does not have the column. As in
    /// Debezium, the column then has its default, or a zero when it is NOT NULL.
    /// </summary>
    public void WriteRow(JsonBuffer buffer, RowImage row, bool isKeyOnly = false)
    {
        buffer.Raw((byte)'{');
        var index = 0;
        foreach (var value in row)
        {
            if (index == _columns.Length)
                break;
            var column = _columns[index++];
            buffer.Raw(column.Lead);
            if (value.Kind == ColumnKind.Text)
                ValueWriter.Write(buffer, column, value.Text);
            else if (value.Kind is ColumnKind.Unchanged or ColumnKind.Omitted)
                StandIn.WriteUnavailable(buffer, column);
            else if (isKeyOnly)
                StandIn.WriteFiller(buffer, column);
            else
                buffer.Raw("null"u8);
        }

        for (; index < _columns.Length; index++)
        {
            buffer.Raw(_columns[index].Lead);
            buffer.Raw("null"u8);
        }

        buffer.Raw((byte)'}');
    }

    /// <summary>
    /// Writes a row of another schema version of the table as an object with the columns of this schema. Columns are matched by number. A
    /// column that the other schema lacks has its default, as in the rows that existed when the column was added. A value is written in the
    /// form of its former type.
    /// </summary>
    public void WriteRowOf(JsonBuffer buffer, TableSchema schema, RowImage row)
    {
        if (ReferenceEquals(schema, _table) || (schema.TableId == _table.TableId && schema.Version == _table.Version))
        {
            WriteRow(buffer, row);
            return;
        }

        var other = Of(schema, _options);
        var mapping = _mapping is { } known && ReferenceEquals(known.From, other) ? known : _mapping = new Mapping(other, _table);
        buffer.Raw((byte)'{');
        for (var index = 0; index < _columns.Length; index++)
        {
            buffer.Raw(_columns[index].Lead);
            var from = mapping.Columns[index];
            if (from < 0)
                StandIn.WriteAdded(buffer, _columns[index]);
            else
                WriteColumn(buffer, other._columns[from], row, from);
        }

        buffer.Raw((byte)'}');
    }

    /// <summary>
    /// Writes the key as an object from a row of this schema. Returns false, and writes nothing, when the row does not have the complete
    /// key.
    /// </summary>
    public bool TryWriteKey(JsonBuffer buffer, RowImage row)
    {
        if (!row.IsPresent)
            return false;
        var start = buffer.Length;
        buffer.Raw((byte)'{');
        for (var part = 0; part < _key.Length; part++)
        {
            buffer.Raw(_key[part].Lead);
            if (!WriteColumn(buffer, _key[part], row, _table.Key[part]))
            {
                buffer.CutTo(start);
                return false;
            }
        }

        buffer.Raw((byte)'}');
        return true;
    }

    /// <summary>Writes the key as an object from canonical key text.</summary>
    /// <exception cref="FormatException">The text is not a key of this table.</exception>
    public void WriteKey(JsonBuffer buffer, string canonical)
    {
        var values = EntityKeyText.Split(canonical);
        if (values.Count != _key.Length)
            throw new FormatException($"A key of {_table.FullName} has {_key.Length} columns; its canonical text has {values.Count}.");
        buffer.Raw((byte)'{');
        for (var part = 0; part < _key.Length; part++)
        {
            buffer.Raw(_key[part].Lead);
            if (values[part] is { } value)
                ValueWriter.Write(buffer, _key[part], Encoding.UTF8.GetBytes(value));
            else
                buffer.Raw("null"u8);
        }

        buffer.Raw((byte)'}');
    }

    // Returns false when the image has no value to write (unchanged, or too few columns). The placeholder is written instead.
    private static bool WriteColumn(JsonBuffer buffer, ColumnForm form, RowImage row, int index)
    {
        foreach (var value in row)
        {
            if (index-- > 0)
                continue;
            switch (value.Kind)
            {
                case ColumnKind.Text:
                    ValueWriter.Write(buffer, form, value.Text);
                    return true;
                case ColumnKind.Unchanged or ColumnKind.Omitted:
                    StandIn.WriteUnavailable(buffer, form);
                    return false;
                default:
                    buffer.Raw("null"u8);
                    return true;
            }
        }

        buffer.Raw("null"u8);
        return false;
    }

    /// <summary>Returns for each column of a schema its index in another one; −1 when it is not there.</summary>
    private sealed class Mapping(RowEncoding from, TableSchema to)
    {
        public RowEncoding From { get; } = from;

        public int[] Columns { get; } = [.. Enumerable.Range(0, to.Columns.Length).Select(c => ColumnMatch.ForRows.PlaceOf(to, c, from._table))];
    }
}
