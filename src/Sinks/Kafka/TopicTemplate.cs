using System.Collections.Concurrent;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>
/// Names of topics from a template with <c>{topic}</c>, <c>{source}</c>, <c>{schema}</c> and <c>{table}</c>. Events that are not of a table
/// keep their topic. Without a template, all do. Safe for concurrent use.
/// </summary>
internal sealed class TopicTemplate(string? template)
{
    /// <summary>The place holders.</summary>
    public static readonly IReadOnlyList<string> PlaceHolders = ["topic", "source", "schema", "table"];

    private readonly ConcurrentDictionary<(string Source, string Table), string> _names = new();

    /// <summary>Returns the first place holder of a template that is not known; null when there is none.</summary>
    public static string? Unknown(string template)
    {
        for (var start = template.IndexOf('{', StringComparison.Ordinal); start >= 0; start = template.IndexOf('{', start + 1))
        {
            var end = template.IndexOf('}', start);
            if (end < 0 || !PlaceHolders.Contains(template[(start + 1)..end]))
                return end < 0 ? template[start..] : template[start..(end + 1)];
        }

        return null;
    }

    /// <summary>The topic of an event.</summary>
    public string For(SinkEvent single)
    {
        if (template is null || single.Entity.Table is not { } table || !table.Contains('.', StringComparison.Ordinal))
            return single.Topic;
        return _names.TryGetValue((single.Source, table), out var known) ? known : _names.GetOrAdd((single.Source, table), Name(template, single));
    }

    // A schema with a dot in its name is taken for a shorter one; the name stays one of this table alone, because both parts are in it.
    private static string Name(string template, SinkEvent single)
    {
        var table = single.Entity.Table;
        var dot = table.IndexOf('.', StringComparison.Ordinal);
        return TopicName.Valid(template
            .Replace("{topic}", single.Topic, StringComparison.Ordinal)
            .Replace("{source}", single.Source, StringComparison.Ordinal)
            .Replace("{schema}", table[..dot], StringComparison.Ordinal)
            .Replace("{table}", table[(dot + 1)..], StringComparison.Ordinal));
    }
}
