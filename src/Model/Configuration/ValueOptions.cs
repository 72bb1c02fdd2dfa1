namespace CdcOrleans.Model.Configuration;

/// <summary>How events write values of types that allow several forms. Debezium has options of the same meaning.</summary>
public sealed record ValueOptions
{
    /// <summary>The defaults.</summary>
    public static readonly ValueOptions Default = new();

    /// <summary><c>numeric</c> and <c>money</c> (<c>decimal.handling.mode</c>). Default: text, exact.</summary>
    public DecimalForm Decimals { get; init; } = DecimalForm.Text;

    /// <summary><c>date</c>, <c>time</c> and <c>timestamp</c> (<c>time.precision.mode</c>). Default: by the column's precision.</summary>
    public TimeForm Times { get; init; } = TimeForm.Adaptive;

    /// <summary><c>bytea</c> (<c>binary.handling.mode</c>). Default: base64.</summary>
    public BinaryForm Binary { get; init; } = BinaryForm.Base64;

    /// <summary><c>interval</c> (<c>interval.handling.mode</c>). Default: microseconds.</summary>
    public IntervalForm Intervals { get; init; } = IntervalForm.Numeric;

    /// <summary><c>hstore</c> (<c>hstore.handling.mode</c>). Default: JSON as text.</summary>
    public HstoreForm Hstore { get; init; } = HstoreForm.Json;

    /// <summary>Digits of fraction of <c>money</c>, 0 to 18 (<c>money.fraction.digits</c>). Default 2.</summary>
    public int MoneyDigits { get; init; } = 2;

    /// <summary>
    /// The placeholder for an out-of-line (TOAST) value that neither the log nor the stored row has (<c>unavailable.value.placeholder</c>).
    /// </summary>
    public string Unavailable { get; init; } = "__debezium_unavailable_value";
}

/// <summary>How decimal numbers are written.</summary>
public enum DecimalForm : byte
{
    /// <summary>As text with its scale, such as <c>"1.10"</c>: exact.</summary>
    Text,

    /// <summary>
    /// As Kafka Connect's Decimal: the unscaled number's bytes, big-endian two's complement, in base64; with
    /// <c>{"scale", "value"}</c> where the column has no fixed scale.
    /// </summary>
    Precise,

    /// <summary>As a JSON number of double precision: may lose digits.</summary>
    FloatingPoint,
}

/// <summary>How dates and times without a zone are written.</summary>
public enum TimeForm : byte
{
    /// <summary>Milliseconds or microseconds by the column's precision; dates as days.</summary>
    Adaptive,

    /// <summary>The same, but times of day always in microseconds.</summary>
    AdaptiveTimeMicroseconds,

    /// <summary>Milliseconds; dates as days.</summary>
    Connect,

    /// <summary>Microseconds; dates as days.</summary>
    Microseconds,

    /// <summary>Nanoseconds; dates as days.</summary>
    Nanoseconds,

    /// <summary>ISO 8601 text with a <c>Z</c>.</summary>
    IsoString,

    /// <summary>JSON objects of years, months, days, hours and so on; intervals and what has a zone too.</summary>
    Structured,
}

/// <summary>How bytes are written.</summary>
public enum BinaryForm : byte
{
    /// <summary>Base64.</summary>
    Base64,

    /// <summary>Base64 with the alphabet that is safe in URLs, padded.</summary>
    Base64Url,

    /// <summary>Hexadecimal digits in lower case.</summary>
    Hex,
}

/// <summary>How intervals are written.</summary>
public enum IntervalForm : byte
{
    /// <summary>Microseconds, a month being a twelfth of 365.25 days.</summary>
    Numeric,

    /// <summary>ISO 8601, exact, with all parts: <c>P1Y2M3DT4H5M6.7S</c>.</summary>
    Text,
}

/// <summary>How hstore values are written.</summary>
public enum HstoreForm : byte
{
    /// <summary>A JSON object as text.</summary>
    Json,

    /// <summary>A JSON object.</summary>
    Map,
}
