namespace CdcOrleans.Configuration.Yaml;

/// <summary>A place in the file, from line 1 and column 1.</summary>
internal readonly record struct Place(int Line, int Column);

/// <summary>A node of the file: a scalar, a mapping or a list.</summary>
internal abstract record Node(Place Place)
{
    /// <summary>The kind of node, for messages.</summary>
    public abstract string Kind { get; }
}

/// <summary>A scalar. <paramref name="IsNull"/> when the file gives no value: nothing, <c>~</c>, or <c>null</c> without quotes.</summary>
internal sealed record ScalarNode(Place Place, string Text, bool IsNull) : Node(Place)
{
    public override string Kind => IsNull ? "nothing" : "a single value";
}

/// <summary>A mapping with its entries in the order of the file. A key may occur twice.</summary>
internal sealed record MappingNode(Place Place, IReadOnlyList<Entry> Entries) : Node(Place)
{
    public override string Kind => "a mapping";
}

/// <summary>A list.</summary>
internal sealed record SequenceNode(Place Place, IReadOnlyList<Node> Items) : Node(Place)
{
    public override string Kind => "a list";
}

/// <summary>One key of a mapping and its value.</summary>
internal readonly record struct Entry(Place Place, string Key, Node Value);
