using System.Text.RegularExpressions;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>The examples of docs/configuration.md and the file in deploy/ are files that can be used.</summary>
public sealed partial class DocumentationTests
{
    private static readonly (string Key, string Text)[] Base =
    [
        ("cluster", "cluster: { id: shop }"),
        ("control", "control: { connection: Host=h;Database=d }"),
        ("sources", "sources: { shop: { postgres: { connection: Host=h;Database=d }, tables: [\"*\"] } }"),
        ("sinks", "sinks: { events: { type: kafka, bootstrap: \"h:1\" }, files: { type: file, directory: d } }"),
        ("routes", "routes: [ { from: \"shop.public.*\", to: [events, files] } ]"),
    ];

    private const string Webhook = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static readonly (string, string)[] Secrets = [("CDC_PASSWORD", "a"), ("SHOP_PASSWORD", "b"), ("KAFKA_PASSWORD", "c"), ("HOOK_SECRET", Webhook), ("OLD_HOOK_SECRET", Webhook)];

    public static TheoryData<string> Examples =>
        [.. Example().Matches(File.ReadAllText(Path.Combine(Root, "docs", "configuration.md"))).Select(m => m.Groups[1].Value)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Examples_are_read(string example)
    {
        // A part of a file takes the place of the same part of a small one.
        var keys = Key().Matches(example).Select(m => m.Groups[1].Value).ToHashSet();
        var file = string.Join('\n', [example, .. Base.Where(b => !keys.Contains(b.Key)).Select(b => b.Text)]);
        Reader.Read(file, out var warnings, Secrets);
        Assert.Empty(warnings);
    }

    [Fact]
    public void Every_part_has_an_example() => Assert.Equal(14, Examples.Count);

    [Fact]
    public void The_file_for_containers_is_read()
    {
        Reader.Read(File.ReadAllText(Path.Combine(Root, "deploy", "cdc.yaml")), out var warnings, ("CDC_PASSWORD", "a"));
        Assert.Empty(warnings);
    }

    private static string Root
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "CdcOrleans.sln")))
                folder = folder.Parent;
            return folder?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex("^([a-z]+):", RegexOptions.Multiline)]
    private static partial Regex Key();
}
