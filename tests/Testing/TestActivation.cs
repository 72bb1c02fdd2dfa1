using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Testing;

/// <summary>
/// When entities wake in the suites that run whole pipelines: as CDC_TEST_ACTIVATION says (<c>when_needed</c> or <c>always</c>), so that
/// the same tests pass both ways. Default: when needed.
/// </summary>
public static class TestActivation
{
    /// <summary>The word for a configuration file.</summary>
    public static string Word { get; } = Environment.GetEnvironmentVariable("CDC_TEST_ACTIVATION") switch
    {
        null or "" or "when_needed" => "when_needed",
        "always" => "always",
        var other => throw new InvalidOperationException($"CDC_TEST_ACTIVATION is '{other}'; write when_needed or always."),
    };

    /// <summary>The same as an option.</summary>
    public static EntityActivation Value => Word == "always" ? EntityActivation.Always : EntityActivation.WhenNeeded;
}
