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

    /// <summary>A decimal number, by the options.</summary>
    Numeric,

    /// <summary>An amount: a decimal number with the options' digits of fraction.</summary>
    Money,

    /// <summary>A JSON boolean.</summary>
    Boolean,

    /// <summary>A day, by the options.</summary>
    Date,

    /// <summary>A time of day, by the options.</summary>
    Time,

    /// <summary>A date and time without a zone, by the options.</summary>
    Timestamp,

    /// <summary>ISO 8601 in UTC, with the column's digits of fraction.</summary>
    TimestampUtc,

    /// <summary>A time of day in UTC, ISO 8601, with the digits of fraction it has.</summary>
    TimeUtc,

    /// <summary>A span of time, by the options.</summary>
    Interval,

    /// <summary>Bytes, by the options.</summary>
    Bytes,

    /// <summary>Bits as little-endian bytes in base64.</summary>
    Bits,

    /// <summary>A single bit as a JSON boolean.</summary>
    Bit,

    /// <summary>A geometric value as an object.</summary>
    Geometry,

    /// <summary>PostGIS' <c>geometry</c>: its binary in base64, and its reference system.</summary>
    Geometric,

    /// <summary>PostGIS' <c>geography</c>: the same.</summary>
    Geographic,

    /// <summary>pgvector's <c>vector</c> and <c>halfvec</c>: a JSON array of numbers.</summary>
    Vector,

    /// <summary>pgvector's <c>sparsevec</c>: its dimensions and what is not zero.</summary>
    SparseVector,

    /// <summary>Pairs of text, by the options.</summary>
    Hstore,

    /// <summary>A JSON array, of any depth.</summary>
    Array,
}
