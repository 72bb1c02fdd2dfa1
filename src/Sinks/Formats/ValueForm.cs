using CdcOrleans.Grains.Interfaces.Schemas;

namespace CdcOrleans.Sinks.Formats;

/// <summary>How values of a column's type are written.</summary>
internal enum ValueForm : byte
{
    /// <summary>PostgreSQL's text as a JSON string: text types, and every type not listed below.</summary>
    Text,

    /// <summary>ASCII text that needs no escape, as a JSON string.</summary>
    PlainText,

    /// <summary>A JSON number without fraction.</summary>
    Integer,

    /// <summary>A JSON number; NaN and infinities as strings.</summary>
    Float,

    /// <summary>A decimal number as a string, its scale kept.</summary>
    Numeric,

    /// <summary>An amount as a decimal string with two digits of fraction.</summary>
    Money,

    /// <summary>A JSON boolean.</summary>
    Boolean,

    /// <summary>Days since 1970-01-01.</summary>
    Date,

    /// <summary>Milliseconds since midnight.</summary>
    TimeMillis,

    /// <summary>Microseconds since midnight.</summary>
    TimeMicros,

    /// <summary>Milliseconds since 1970-01-01.</summary>
    TimestampMillis,

    /// <summary>Microseconds since 1970-01-01.</summary>
    TimestampMicros,

    /// <summary>ISO 8601 in UTC, with the column's digits of fraction.</summary>
    TimestampUtc,

    /// <summary>Bytes in base64.</summary>
    Bytes,
}

/// <summary>A column's name as JSON and how its values are written.</summary>
/// <param name="Name">The column's name.</param>
/// <param name="Lead">What stands before the value in a row, such as <c>,"name":</c>; without the comma for the first.</param>
/// <param name="Form">How its values are written.</param>
/// <param name="Fraction">Digits of the second's fraction, 0 to 6.</param>
/// <param name="Nullable">Whether it may be NULL.</param>
internal sealed record ColumnForm(string Name, byte[] Lead, ValueForm Form, int Fraction, bool Nullable)
{
    /// <summary>The form of a table's column.</summary>
    public static ColumnForm Of(ColumnSchema column, bool isFirst)
    {
        var lead = new JsonBuffer();
        if (!isFirst)
            lead.Raw((byte)',');
        lead.String(column.Name);
        lead.Raw((byte)':');
        var fraction = column.TypeModifier is >= 0 and <= 6 ? column.TypeModifier : 6;
        return new ColumnForm(column.Name, lead.ToArray(), FormOf(column.TypeOid, fraction), fraction, column.Nullable);
    }

    // The oids of PostgreSQL's built-in types are part of its protocol: pg_type.dat.
    private static ValueForm FormOf(uint oid, int fraction) => oid switch
    {
        16 => ValueForm.Boolean,
        17 => ValueForm.Bytes,
        20 or 21 or 23 or 26 => ValueForm.Integer,
        700 or 701 => ValueForm.Float,
        790 => ValueForm.Money,
        1082 => ValueForm.Date,
        1083 => fraction <= 3 ? ValueForm.TimeMillis : ValueForm.TimeMicros,
        1114 => fraction <= 3 ? ValueForm.TimestampMillis : ValueForm.TimestampMicros,
        1184 => ValueForm.TimestampUtc,
        1700 => ValueForm.Numeric,
        2950 => ValueForm.PlainText,
        _ => ValueForm.Text,
    };
}
