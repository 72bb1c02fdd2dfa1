using System.Diagnostics.Metrics;

namespace CdcOrleans.Model;

/// <summary>The meter that all parts of the product record on.</summary>
public static class CdcMeter
{
    /// <summary>Its name, for exporters.</summary>
    public const string Name = "CdcOrleans";

    /// <summary>The meter itself. Instruments are named <c>cdc.&lt;part&gt;.&lt;figure&gt;</c>.</summary>
    public static readonly Meter Instance = new(Name);
}
