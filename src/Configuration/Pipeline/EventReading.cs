using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the section <c>events</c> of a source or a table.</summary>
internal static class EventReading
{
    private const string None = "none";

    private static readonly (string Letter, SkippedOperations Operation)[] Operations =
    [
        ("c", SkippedOperations.Create), ("u", SkippedOperations.Update), ("d", SkippedOperations.Delete), ("t", SkippedOperations.Truncate),
    ];

    /// <summary>Keys that the section of a table may have.</summary>
    private static readonly string[] OfTables = ["skip", "tombstones"];

    /// <summary>
    /// Reads the section of a table. Keys that are missing have the value of <paramref name="defaults"/>. Null when there is no section.
    /// </summary>
    public static EventOptions? OfTable(Value? value, EventOptions defaults) =>
        value?.AsSection(OfTables) is { } section ? Options(section, defaults) : null;

    /// <summary>Reads the keys that only a source may have.</summary>
    public static SourceConfiguration OfSource(Section? section, EventOptions options, SourceConfiguration source) => section is null
        ? source
        : source with
        {
            Events = options,
            Messages = Messages(section.Find("messages")) ?? source.Messages,
            Transactions = Flag(section.Find("transactions")) ?? source.Transactions,
            HeartbeatEvents = Flag(section.Find("heartbeats")) ?? source.HeartbeatEvents,
        };

    /// <summary>The section of a source.</summary>
    public static Section? Section(Value? value) => value?.AsSection([.. OfTables, "messages", "transactions", "heartbeats"]);

    /// <summary>Reads the keys that a table may have as well.</summary>
    public static EventOptions Options(Section? section) => section is null ? EventOptions.Default : Options(section, EventOptions.Default);

    /// <summary>Reads <c>true</c> or <c>false</c>.</summary>
    public static bool? Flag(Value? value) => value?.AsWord("true", "false") switch { "true" => true, "false" => false, _ => null };

    private static EventOptions Options(Section section, EventOptions defaults) => new()
    {
        Skip = Skip(section.Find("skip")) ?? defaults.Skip,
        Tombstones = Flag(section.Find("tombstones")) ?? defaults.Tombstones,
    };

    private static SkippedOperations? Skip(Value? value)
    {
        if (value?.AsList() is not { } items)
            return null;
        var skipped = SkippedOperations.None;
        foreach (var item in items)
        {
            var letter = item.AsWord([.. Operations.Select(o => o.Letter), None]);
            if (letter == None && items.Count > 1)
                item.Refuse($"'{None}' cannot be combined with operations; write the operations to skip, or only {None}");
            skipped |= Operations.FirstOrDefault(o => o.Letter == letter).Operation;
        }

        return skipped;
    }

    private static List<string>? Messages(Value? value)
    {
        if (value?.AsList() is not { } items)
            return null;
        var prefixes = items.Select(i => i.AsText()).OfType<string>().ToList();
        return prefixes is [None] ? [] : prefixes;
    }
}
