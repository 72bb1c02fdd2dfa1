using System.Text;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Sinks.Formats.Values;

namespace CdcOrleans.Sinks.Formats;

/// <summary>A column's name as JSON and how its values are written.</summary>
internal sealed class ColumnForm
{
    private ColumnForm(string name, byte[] lead, bool nullable, uint oid, int modifier, string typeName, ElementSchema? element, ValueOptions options)
    {
        Name = name;
        Lead = lead;
        Nullable = nullable;
        Options = options;
        TypeOid = oid;
        Modifier = modifier;
        Fraction = modifier is >= 0 and <= 6 ? modifier : 6;
        Form = FormOf(oid, modifier, typeName);
        Unit = UnitOf(Form, Fraction, options.Times);
        Geometry = oid switch
        {
            601 => GeometryKind.Segment,
            602 => GeometryKind.Path,
            603 => GeometryKind.Box,
            604 => GeometryKind.Polygon,
            628 => GeometryKind.Line,
            718 => GeometryKind.Circle,
            _ => GeometryKind.Point,
        };
        if (element is null)
            return;
        Form = ValueForm.Array;
        Delimiter = (byte)element.Delimiter;
        Element = new ColumnForm("", [], true, element.TypeOid, element.TypeModifier, element.TypeName, null, options);
    }

    /// <summary>The column's name.</summary>
    public string Name { get; }

    /// <summary>The text before the value in a row, such as <c>,"name":</c>; without the comma for the first column.</summary>
    public byte[] Lead { get; }

    /// <summary>Whether it may be NULL.</summary>
    public bool Nullable { get; }

    /// <summary>Its constant default in PostgreSQL's text form; null without one.</summary>
    public byte[]? Default { get; private set; }

    /// <summary>The type's oid.</summary>
    public uint TypeOid { get; }

    /// <summary>How its values are written.</summary>
    public ValueForm Form { get; }

    /// <summary>The type's modifier, −1 where none.</summary>
    public int Modifier { get; }

    /// <summary>Digits of the second's fraction, 0 to 6.</summary>
    public int Fraction { get; }

    /// <summary>In which unit times are written.</summary>
    public TimeUnit Unit { get; }

    /// <summary>Which geometric type it is, where it is one.</summary>
    public GeometryKind Geometry { get; }

    /// <summary>The options for values.</summary>
    public ValueOptions Options { get; }

    /// <summary>How elements are written where the value is an array.</summary>
    public ColumnForm? Element { get; }

    /// <summary>The delimiter between the elements in the text of an array.</summary>
    public byte Delimiter { get; }

    /// <summary>The form of a table's column.</summary>
    public static ColumnForm Of(ColumnSchema column, ValueOptions options, bool isFirst)
    {
        var lead = new JsonBuffer();
        if (!isFirst)
            lead.Raw((byte)',');
        lead.String(column.Name);
        lead.Raw((byte)':');
        var form = new ColumnForm(
            column.Name, lead.ToArray(), column.Nullable, column.TypeOid, column.TypeModifier, column.TypeName, column.Element, options);
        form.Default = DefaultOf(form, column.Default);
        return form;
    }

    // The catalog has a default as it was declared, such as 1.5, where values of the column are printed as 1.50.
    private static byte[]? DefaultOf(ColumnForm column, string? text) => text is null
        ? null
        : column.Form switch
        {
            ValueForm.Numeric when NumberValue.ScaleOf(column.Modifier) is { } scale => NumberValue.ToScale(text, scale),
            ValueForm.Money => NumberValue.ToScale(text, 2),
            _ => Encoding.UTF8.GetBytes(text),
        };

    // The oids of PostgreSQL's built-in types are part of its protocol: pg_type.dat. Those of extensions differ from database to database.
    private static ValueForm FormOf(uint oid, int modifier, string typeName) => oid switch
    {
        16 => ValueForm.Boolean,
        17 => ValueForm.Bytes,
        20 or 21 or 23 or 26 => ValueForm.Integer,
        600 or 601 or 602 or 603 or 604 or 628 or 718 => ValueForm.Geometry,
        700 or 701 => ValueForm.Float,
        790 => ValueForm.Money,
        1082 => ValueForm.Date,
        1083 => ValueForm.Time,
        1114 => ValueForm.Timestamp,
        1184 => ValueForm.TimestampUtc,
        1186 => ValueForm.Interval,
        1266 => ValueForm.TimeUtc,
        1560 or 1562 => modifier == 1 ? ValueForm.Bit : ValueForm.Bits,
        1700 => ValueForm.Numeric,
        2950 => ValueForm.PlainText,
        >= 16384 => FormOf(typeName),
        _ => ValueForm.Text,
    };

    // As the catalog prints it: public.geometry(Point,4326).
    private static ValueForm FormOf(string typeName)
    {
        var name = typeName.AsSpan();
        if (name.IndexOf('(') is > 0 and var modifier)
            name = name[..modifier];
        return name[(name.LastIndexOf('.') + 1)..] switch
        {
            "hstore" => ValueForm.Hstore,
            "geometry" => ValueForm.Geometric,
            "geography" => ValueForm.Geographic,
            "vector" or "halfvec" => ValueForm.Vector,
            "sparsevec" => ValueForm.SparseVector,
            _ => ValueForm.Text,
        };
    }

    private static TimeUnit UnitOf(ValueForm form, int fraction, TimeForm times) => times switch
    {
        TimeForm.Connect => TimeUnit.Milliseconds,
        TimeForm.Microseconds => TimeUnit.Microseconds,
        TimeForm.Nanoseconds => TimeUnit.Nanoseconds,
        TimeForm.IsoString => TimeUnit.Text,
        TimeForm.Structured => TimeUnit.Parts,
        TimeForm.AdaptiveTimeMicroseconds when form == ValueForm.Time => TimeUnit.Microseconds,
        _ => fraction <= 3 ? TimeUnit.Milliseconds : TimeUnit.Microseconds,
    };
}

/// <summary>The unit that times of day and timestamps are counted in.</summary>
internal enum TimeUnit : byte
{
    /// <summary>Thousandths of a second.</summary>
    Milliseconds,

    /// <summary>Millionths of a second.</summary>
    Microseconds,

    /// <summary>Thousandths of a microsecond.</summary>
    Nanoseconds,

    /// <summary>Not counted: ISO 8601.</summary>
    Text,

    /// <summary>Not counted: objects of their parts.</summary>
    Parts,
}
