using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>A sink in the file, and how it is read.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value in the file.</param>
/// <param name="Configuration">The sink; null when it could not be read, or its type is not known to this process.</param>
/// <param name="Delivery">The default policy of its routes.</param>
internal sealed record SinkReading(string Name, Value Value, SinkConfiguration? Configuration, DeliveryPolicy Delivery)
{
    /// <summary>Reads all sinks.</summary>
    /// <param name="sinks">The mapping <c>sinks</c>.</param>
    /// <param name="types">The types of sinks; null for a process that has none and needs only their names.</param>
    /// <param name="folder">Folder for relative directories.</param>
    public static IReadOnlyList<SinkReading>? All(Section? sinks, IReadOnlyList<ISinkType>? types, string folder)
    {
        if (sinks is null)
            return null;
        if (sinks.Values.Count == 0)
            sinks.Refuse("is empty; name at least one destination");
        return [.. sinks.Values.Select(s => One(s.Key, s.Value, types, folder))];
    }

    private static SinkReading One(string name, Value value, IReadOnlyList<ISinkType>? types, string folder)
    {
        if (!PipelineReading.IsName(name))
            value.RefuseKey($"'{name}' is not a sink name; write letters, digits, '_' and '-'");
        if (value.AsNames() is not { } any)
            return new SinkReading(name, value, null, DeliveryPolicy.Default);
        SinkConfiguration? read = null;
        if (types is not null)
        {
            if (Type(any, types) is not { } type)
                return new SinkReading(name, value, null, DeliveryPolicy.Default);
            read = type.Read(name, value.AsSection(["type", .. type.Keys, "delivery"])!, folder);
        }

        return new SinkReading(name, value, read, DeliveryReading.Read(any.Find("delivery"))(DeliveryPolicy.Default));
    }

    private static ISinkType? Type(Section sink, IReadOnlyList<ISinkType> types)
    {
        var names = types.Select(t => t.Name).ToList();
        if (sink.Require("type", $"write {Listed(names.Select(n => $"'type: {n}'"), "or")}") is not { } type || type.AsText() is not { } text)
            return null;
        if (types.FirstOrDefault(t => t.Name == text) is { } found)
            return found;
        type.Refuse($"{type.Shown} is not a type of sink{Spelling.Hint(text, names)} this version has {Listed(names, "and")}");
        return null;
    }

    private static string Listed(IEnumerable<string> words, string last) =>
        words.ToList() is { Count: > 1 } all ? $"{string.Join(", ", all[..^1])} {last} {all[^1]}" : string.Concat(words);
}
