using CdcOrleans.Configuration;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Sinks;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>Reads files from texts.</summary>
internal static class Reader
{
    /// <summary>A small file that is fine; tests break it in one place. Its lines are counted by the tests.</summary>
    public const string Fine = """
        cluster: { id: shop }
        control: { connection: Host=127.0.0.1;Database=cdc }
        sources:
          shop:
            postgres: { connection: Host=127.0.0.1;Database=shop }
            tables: ["public.*"]
        sinks:
          events: { type: kafka, bootstrap: "127.0.0.1:9092" }
        routes:
          - { from: "shop.*", to: events }
        """;

    public static PipelineConfiguration Read(string text, params (string Name, string Value)[] environment) => Read(text, out _, environment);

    public static PipelineConfiguration Read(
        string text, out IReadOnlyList<ConfigurationFinding> warnings, params (string Name, string Value)[] environment) =>
        ConfigurationFile.Read(text, "cdc.yaml", SinkTypes.All, environment.ToDictionary(e => e.Name, e => e.Value), out warnings);

    /// <summary>All findings of a text, as they print.</summary>
    public static string[] Refused(string text, params (string Name, string Value)[] environment)
    {
        var refusal = Assert.Throws<ConfigurationException>(() => Read(text, environment));
        Assert.Equal(string.Join('\n', refusal.Findings), refusal.Message);
        return [.. refusal.Findings.Select(f => f.ToString())];
    }

    /// <summary>The one finding of the fine file with one text replaced.</summary>
    public static string RefusedWith(string old, string replacement, params (string Name, string Value)[] environment)
    {
        Assert.Contains(old, Fine, StringComparison.Ordinal);
        return Assert.Single(Refused(Fine.Replace(old, replacement, StringComparison.Ordinal), environment));
    }

    /// <summary>The fine file with one text replaced.</summary>
    public static PipelineConfiguration ReadWith(string old, string replacement, params (string Name, string Value)[] environment)
    {
        Assert.Contains(old, Fine, StringComparison.Ordinal);
        return Read(Fine.Replace(old, replacement, StringComparison.Ordinal), environment);
    }
}
