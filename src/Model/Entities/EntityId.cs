namespace CdcOrleans.Model.Entities;

/// <summary>The identity of an entity across the cluster: source, table and key. Its text is the entity grain's key.</summary>
/// <param name="Source">Name of the source; contains no <c>/</c>.</param>
/// <param name="Key">Table and key within the source.</param>
public readonly record struct EntityId(string Source, EntityKey Key)
{
    /// <summary><c>source/table/key</c>, with <c>/</c> and <c>%</c> in the table escaped as <c>%2F</c> and <c>%25</c>.</summary>
    public override string ToString() =>
        $"{Source}/{Key.Table.Replace("%", "%25", StringComparison.Ordinal).Replace("/", "%2F", StringComparison.Ordinal)}/{Key.Key}";

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">A part is missing.</exception>
    public static EntityId Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var first = text.IndexOf('/', StringComparison.Ordinal);
        var second = first < 1 ? -1 : text.IndexOf('/', first + 1);
        if (second <= first + 1)
            throw new FormatException($"'{text}' is not an entity id; expected source/table/key.");
        var table = text[(first + 1)..second].Replace("%2F", "/", StringComparison.Ordinal).Replace("%25", "%", StringComparison.Ordinal);
        return new EntityId(text[..first], new EntityKey(table, text[(second + 1)..]));
    }
}
