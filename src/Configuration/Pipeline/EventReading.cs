using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Which events there are: the section <c>events</c> of a source or of a table.</summary>
internal static class EventReading
{
    private const string None = "none";

    private static readonly (string Letter, SkippedOperations Operation)[] Operations =
    [
        ("c", SkippedOperations.Create), ("u", SkippedOperations.Update), ("d", SkippedOperations.Delete), ("t", SkippedOperations.Truncate),
    ];

    /// <summary>Keys that a table has too.</summary>
    private static readonly string[] OfTables = ["skip", "tombstones"];

    /// <summary>Reads a table's section; what it leaves out is as in <paramref name="defaults"/>. Null where there is no section.</summary>
    public static EventOptions? OfTable(Value? value, EventOptions defaults) =>
        value?.AsSection(OfTables) is { } section ? Options(section, defaults) : null;

    /// <summary>Reads the rest of a source's section into its configuration.</summary>
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

    /// <summary>The choices of a source's section that tables have too.</summary>
    public static EventOptions Options(Section? section) => section is null ? EventOptions.Default : Options(section, EventOptions.Default);

    /// <summary>A yes or no.</summary>
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
                item.Refuse($"'{None}' stands alone; write the operations to skip, or {None}");
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
