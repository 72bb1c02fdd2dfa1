using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads how events are delivered that a sink does not accept at once: of a sink, as the default of its routes, or of a route.</summary>
internal static class DeliveryReading
{
    /// <summary>Reads a policy. Returns a function that replaces in other policies what is given here.</summary>
    /// <param name="value">The mapping <c>delivery</c>; null when there is none.</param>
    public static Func<DeliveryPolicy, DeliveryPolicy> Read(Value? value)
    {
        if (value?.AsSection("inline", "backoff", "give_up", "poison", "outage", "spill") is not { } section)
            return other => other;
        var backoff = section.Find("backoff")?.AsSection("first", "most");
        var giveUp = section.Find("give_up")?.AsSection("attempts", "age");
        var inline = section.Find("inline")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5), "parking at the first failure");
        var first = backoff?.Find("first")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1));
        var most = backoff?.Find("most")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(24));
        var attempts = giveUp?.Find("attempts")?.AsInteger(1, 1_000_000);
        var age = giveUp?.Find("age")?.AsDuration(TimeSpan.FromSeconds(1), TimeSpan.FromDays(365));
        var poison = section.Find("poison")?.AsWord("continue", "block");
        var outage = section.Find("outage")?.AsWord("spill", "hold");
        var spill = section.Find("spill")?.AsSize(1L << 20, 1L << 40);
        if ((first ?? DeliveryPolicy.Default.Backoff.First) > (most ?? DeliveryPolicy.Default.Backoff.Most))
            (backoff!.Find("most") ?? backoff.Find("first"))!.Refuse("backoff.most is shorter than backoff.first; raise most or lower first");
        return other => other with
        {
            Inline = inline ?? other.Inline,
            Backoff = other.Backoff with { First = first ?? other.Backoff.First, Most = most ?? other.Backoff.Most },
            GiveUpAttempts = attempts ?? other.GiveUpAttempts,
            GiveUpAge = age ?? other.GiveUpAge,
            Poison = poison is null ? other.Poison : poison == "block" ? PoisonPolicy.Block : PoisonPolicy.Continue,
            Outage = outage is null ? other.Outage : outage == "hold" ? OutagePolicy.Hold : OutagePolicy.Spill,
            SpillBytes = spill ?? other.SpillBytes,
        };
    }
}
