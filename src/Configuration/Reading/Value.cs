using System.Globalization;
using System.Numerics;
using CdcOrleans.Configuration.Yaml;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Reading;

/// <summary>
/// A value in the file, with its path. When a value has an error, every <c>As…</c> reports it and returns null. So reading continues, and
/// all errors are reported at once.
/// </summary>
internal sealed class Value(Findings findings, Node node, string path, Place keyPlace) : ISetting
{
    private const int LongestShown = 80;

    private bool _expanded;
    private string? _text;

    /// <summary>Path in the structure.</summary>
    public string Path { get; } = path;

    /// <summary>Place of its key; its own place when it is an item of a list.</summary>
    public Place KeyPlace { get; } = keyPlace;

    /// <summary>Place in the file.</summary>
    public Place Place => node.Place;

    /// <summary>Whether it is a mapping.</summary>
    public bool IsMapping => node is MappingNode;

    /// <summary>Whether it is a list.</summary>
    public bool IsList => node is SequenceNode;

    /// <summary>Kind of the value, for messages.</summary>
    public string Kind => node.Kind;

    /// <summary>The value as in the file, quoted. References are not replaced, so the content of variables is never printed.</summary>
    public string Shown => node is ScalarNode { Text: var text } ? $"'{(text.Length > LongestShown ? text[..LongestShown] + "…" : text)}'" : node.Kind;

    /// <summary>Whether the text has references. Their values must not be printed.</summary>
    public bool HasReferences => node is ScalarNode { Text: var text } && References.Has(text);

    /// <summary>Reports that the value cannot be used.</summary>
    public void Refuse(string message) => findings.Refuse(Place, Path, message);

    /// <summary>Reports that its key cannot be used.</summary>
    public void RefuseKey(string message) => findings.Refuse(KeyPlace, Path, message);

    /// <summary>The text with its references replaced; not empty.</summary>
    public string? AsText()
    {
        if (_expanded)
            return _text;
        _expanded = true;
        if (node is not ScalarNode scalar || scalar.IsNull)
        {
            Refuse($"expected a single value, found {node.Kind}");
            return null;
        }

        var problems = new List<string>();
        _text = References.Replace(scalar.Text, findings.Environment, problems);
        foreach (var problem in problems)
            Refuse(problem);
        if (_text is { Length: 0 })
        {
            Refuse(HasReferences ? $"{Shown} is empty after its variables were replaced; set them, or leave the key out for its default" : "is empty; give a value, or leave the key out for its default");
            _text = null;
        }

        return _text;
    }

    /// <summary>A whole number within bounds.</summary>
    public int? AsInteger(int least, int most)
    {
        if (AsText() is not { } text)
            return null;
        if (!BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            Refuse(string.Create(CultureInfo.InvariantCulture, $"{Shown} is not a whole number; write one from {least} to {most}"));
        else if (number < least || number > most)
            Refuse(string.Create(CultureInfo.InvariantCulture, $"{Shown} is out of range; write a number from {least} to {most}"));
        else
            return (int)number;
        return null;
    }

    /// <summary>A duration within bounds. Zero is also allowed when <paramref name="orZero"/> says what it means.</summary>
    public TimeSpan? AsDuration(TimeSpan least, TimeSpan most, string? orZero = null)
    {
        if (AsText() is not { } text)
            return null;
        var range = $"{Units.Show(least)} to {Units.Show(most)}{(orZero is null ? "" : $", or 0 for {orZero}")}";
        if (!Units.TryDuration(text, out var duration))
            Refuse($"{Shown} is not a duration; write a whole number and a unit (ms, s, m, h or d), from {range}");
        else if ((duration < least || duration > most) && !(orZero is not null && duration == TimeSpan.Zero))
            Refuse($"{Shown} is out of range; write a duration from {range}");
        else
            return duration;
        return null;
    }

    /// <summary>A size in bytes within bounds.</summary>
    public long? AsSize(long least, long most)
    {
        if (AsText() is not { } text)
            return null;
        var range = $"{Units.Show(least)} to {Units.Show(most)}";
        if (!Units.TrySize(text, out var bytes))
            Refuse($"{Shown} is not a size; write a whole number and a unit (KB, MB or GB; none for bytes), from {range}");
        else if (bytes < least || bytes > most)
            Refuse($"{Shown} is out of range; write a size from {range}");
        else
            return bytes;
        return null;
    }

    /// <summary>One of the words given.</summary>
    public string? AsWord(params string[] words)
    {
        if (AsText() is not { } text || words.Contains(text))
            return _text;
        Refuse($"{Shown} is not known here{Spelling.Hint(text, words)} write {string.Join(" or ", words.Select(w => $"'{w}'"))}");
        return null;
    }

    /// <summary>The items of a list; a single value counts as a list of one.</summary>
    public IReadOnlyList<Value>? AsList()
    {
        switch (node)
        {
            case SequenceNode { Items: { Count: > 0 } items }:
                return [.. items.Select((item, i) => new Value(findings, item, string.Create(CultureInfo.InvariantCulture, $"{Path}[{i}]"), item.Place))];
            case ScalarNode { IsNull: false }:
                return [this];
            case SequenceNode:
                Refuse("the list is empty; give at least one item");
                return null;
            default:
                Refuse($"expected a list, found {node.Kind}");
                return null;
        }
    }

    /// <summary>A mapping with the given keys. Other keys are reported.</summary>
    public Section? AsSection(params string[] known) => AsMapping() is { } mapping ? new Section(findings, mapping, this, known) : null;

    /// <summary>A mapping with any keys. Keys that occur twice are reported.</summary>
    public Section? AsNames() => AsMapping() is { } mapping ? new Section(findings, mapping, this, null) : null;

    IReadOnlyList<ISetting>? ISetting.AsList() => AsList();

    ISettings? ISetting.AsSection(params string[] known) => AsSection(known);

    ISettings? ISetting.AsNames() => AsNames();

    private MappingNode? AsMapping()
    {
        if (node is MappingNode mapping)
            return mapping;
        Refuse($"expected a mapping (key: value), found {node.Kind}");
        return null;
    }
}
