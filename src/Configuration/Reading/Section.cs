using System.Globalization;
using CdcOrleans.Configuration.Yaml;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Reading;

/// <summary>A mapping in the file, with its path.</summary>
internal sealed class Section : ISettings
{
    private readonly Findings _findings;
    private readonly Value _self;
    private readonly Dictionary<string, Value> _values = [];

    /// <summary>Reports keys that occur twice and, unless <paramref name="known"/> is null, unknown keys.</summary>
    public Section(Findings findings, MappingNode mapping, Value self, string[]? known)
    {
        _findings = findings;
        _self = self;
        var first = new Dictionary<string, Place>();
        foreach (var (place, key, node) in mapping.Entries)
        {
            if (!first.TryAdd(key, place))
                findings.Refuse(place, PathOf(key), string.Create(CultureInfo.InvariantCulture, $"key '{key}' is given twice, first at line {first[key].Line}; remove one"));
            else if (known is not null && !known.Contains(key))
                RefuseUnknown(place, key, known);
            else if (node is not ScalarNode { IsNull: true } || known is null)
                _values.Add(key, new Value(findings, node, PathOf(key), place));
        }
    }

    /// <summary>The keys and their values, in the order of the file.</summary>
    public IReadOnlyDictionary<string, Value> Values => _values;

    IEnumerable<KeyValuePair<string, ISetting>> ISettings.All => _values.Select(v => KeyValuePair.Create<string, ISetting>(v.Key, v.Value));

    ISetting? ISettings.Find(string key) => Find(key);

    ISetting? ISettings.Require(string key, string remedy) => Require(key, remedy);

    /// <summary>Returns the value of a key; null when the key is missing.</summary>
    public Value? Find(string key) => _values.GetValueOrDefault(key);

    /// <summary>Returns the value of a key; reports an error when the key is missing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="remedy">What to write, such as an example.</param>
    public Value? Require(string key, string remedy)
    {
        if (Find(key) is { } value)
            return value;
        Refuse(key, $"is missing; {remedy}");
        return null;
    }

    /// <summary>Reports an error for a key that is missing.</summary>
    public void Refuse(string key, string message) => _findings.Refuse(_self.KeyPlace, PathOf(key), message);

    /// <summary>Reports an error for the whole mapping.</summary>
    public void Refuse(string message) => _findings.Refuse(_self.KeyPlace, _self.Path, message);

    private void RefuseUnknown(Place place, string key, string[] known)
    {
        var all = string.Join(", ", known);
        _findings.Refuse(place, PathOf(key), Spelling.Nearest(key, known) is { } nearest
            ? $"unknown key '{key}'; did you mean '{nearest}'? Known keys: {all}"
            : $"unknown key '{key}'; known keys: {all}");
    }

    private string PathOf(string key) => _self.Path.Length == 0 ? key : $"{_self.Path}.{key}";
}
