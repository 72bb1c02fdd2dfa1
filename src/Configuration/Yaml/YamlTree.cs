using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace CdcOrleans.Configuration.Yaml;

/// <summary>
/// Reads a YAML document into nodes with their places. It keeps what the library's own model refuses or loses: duplicate keys, so that all
/// of them can be reported with their lines, and whether a scalar was quoted.
/// </summary>
internal sealed class YamlTree
{
    // Deeper than any useful configuration. The limit protects the stack from a hostile file.
    private const int MaximumDepth = 32;

    private readonly Dictionary<string, Node> _anchors = [];
    private readonly Parser _parser;

    private YamlTree(TextReader text) => _parser = new Parser(text);

    /// <summary>Reads the root of the document; null when the file has no document or an empty one.</summary>
    /// <exception cref="YamlTreeException">The text is not YAML, or it uses features of YAML that are not supported.</exception>
    public static Node? Read(string text)
    {
        using var reader = new StringReader(text);
        try
        {
            return new YamlTree(reader).ReadStream();
        }
        catch (YamlException trouble)
        {
            throw new YamlTreeException(PlaceOf(trouble.Start), $"not valid YAML: {WithoutPlace(trouble.Message)}");
        }
    }

    private Node? ReadStream()
    {
        Next<StreamStart>();
        if (Advance() is not DocumentStart)
            return null;
        var root = ReadNode(Advance(), 0);
        Next<DocumentEnd>();
        if (Advance() is DocumentStart second)
            throw new YamlTreeException(PlaceOf(second.Start), "a second document starts here; the file must have one document, so remove this '---' and what follows");
        return root is ScalarNode { IsNull: true } ? null : root;
    }

    private Node ReadNode(ParsingEvent at, int depth)
    {
        var place = PlaceOf(at.Start);
        if (depth > MaximumDepth)
            throw new YamlTreeException(place, $"nested deeper than {MaximumDepth} levels; no configuration needs that");
        if (at is AnchorAlias alias)
        {
            // The message does not contain the name: it may be the start of a password that was not quoted.
            return _anchors.TryGetValue(alias.Value.Value, out var target)
                ? target with { Place = place }
                : throw new YamlTreeException(place, "'*' refers to an anchor ('&…') that is not complete before this place; define it earlier, or quote a value that starts with '*'");
        }

        if (at is not NodeEvent start)
            throw new YamlTreeException(place, "a value is missing here");
        if (!start.Tag.IsEmpty && !start.Tag.IsNonSpecific)
            throw new YamlTreeException(place, "tags ('!…') have no meaning here; remove it, or quote a value that starts with '!'");
        Node node = start switch
        {
            Scalar scalar => new ScalarNode(place, scalar.Value, IsNull(scalar)),
            SequenceStart => new SequenceNode(place, ReadItems(depth)),
            MappingStart => new MappingNode(place, ReadEntries(depth)),
            _ => throw new YamlTreeException(place, "a value is missing here"),
        };
        if (!start.Anchor.IsEmpty)
            _anchors[start.Anchor.Value] = node;
        return node;
    }

    private List<Node> ReadItems(int depth)
    {
        var items = new List<Node>();
        for (var at = Advance(); at is not SequenceEnd; at = Advance())
            items.Add(ReadNode(at, depth + 1));
        return items;
    }

    private List<Entry> ReadEntries(int depth)
    {
        var entries = new List<Entry>();
        for (var at = Advance(); at is not MappingEnd; at = Advance())
        {
            if (ReadNode(at, depth + 1) is not ScalarNode key)
                throw new YamlTreeException(PlaceOf(at.Start), "a key must be a single value, not a mapping or a list");
            if (key.Text == "<<")
                throw new YamlTreeException(key.Place, "merge keys ('<<') are not supported; repeat the keys, or use an alias for the whole value");
            entries.Add(new Entry(key.Place, key.Text, ReadNode(Advance(), depth + 1)));
        }

        return entries;
    }

    private void Next<T>()
        where T : ParsingEvent
    {
        if (Advance() is not T && _parser.Current is { } found)
            throw new YamlTreeException(PlaceOf(found.Start), "not valid YAML: the document does not end where it should");
    }

    private ParsingEvent Advance()
    {
        var last = _parser.Current is { } before ? PlaceOf(before.End) : new Place(1, 1);
        try
        {
            return _parser.MoveNext() && _parser.Current is { } current ? current : throw new YamlTreeException(last, "not valid YAML: the file ends too early");
        }
        catch (Exception trouble) when (trouble is not (YamlException or YamlTreeException))
        {
            // For some texts, such as "[1\nb: 2", the scanner throws exceptions of other types.
            throw new YamlTreeException(last, "not valid YAML: what follows cannot be read; look for a missing bracket, brace or quote");
        }
    }

    private static bool IsNull(Scalar scalar) =>
        scalar is { Style: ScalarStyle.Plain, Value: "" or "~" or "null" or "Null" or "NULL" };

    private static Place PlaceOf(Mark mark) => new((int)Math.Max(1, mark.Line), (int)Math.Max(1, mark.Column));

    private static string WithoutPlace(string message)
    {
        // Messages of the library may start with "(Line: …) - (Line: …): ". We write the place in our own form.
        var end = message.StartsWith("(Line", StringComparison.Ordinal) ? message.IndexOf("): ", StringComparison.Ordinal) : -1;
        return end < 0 ? message : message[(end + 3)..];
    }
}

/// <summary>The text is not YAML, or has YAML features that are not supported.</summary>
internal sealed class YamlTreeException(Place place, string message) : Exception(message)
{
    /// <summary>The place of the error.</summary>
    public Place Place { get; } = place;
}
