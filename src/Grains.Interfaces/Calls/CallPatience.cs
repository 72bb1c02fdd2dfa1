using System.Globalization;

namespace CdcOrleans.Grains.Interfaces.Calls;

/// <summary>
/// How long callers wait for an answer to a call between grains. A call that was sent just when its silo was declared dead gets no answer
/// at all, and Orleans would wait for 30 seconds. All these calls can be repeated, and their callers do so.
/// </summary>
public static class CallPatience
{
    /// <summary>For calls that carry little and that their grain answers at once.</summary>
    public const string Brief = "00:00:02";

    /// <summary><see cref="Brief"/> as a time.</summary>
    public static readonly TimeSpan BriefTime = TimeSpan.Parse(Brief, CultureInfo.InvariantCulture);

    /// <summary>For calls that may read a row from the control database.</summary>
    public const string WithRead = "00:00:10";
}
