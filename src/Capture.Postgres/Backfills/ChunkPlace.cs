using System.Globalization;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>Where a chunk begins: after a key, or after a row in the files of a table or of one of its partitions. Its text can be stored.</summary>
internal abstract record ChunkPlace
{
    /// <summary>Returns the text of a place in a table of some form.</summary>
    public static string Text(ChunkForm form, string place) => $"{form} {place}";

    /// <summary>Splits the text of a place in a table of some form (<see cref="Text"/>).</summary>
    public static (string Form, string Place) Split(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 || text.StartsWith("key:", StringComparison.Ordinal) ? ("", text) : (text[..space], text[(space + 1)..]);
    }

    // (block,item)
    public static AfterRow OfTid(uint table, string tid)
    {
        var parts = tid.Trim('(', ')').Split(',');
        return new AfterRow(table, long.Parse(parts[0], CultureInfo.InvariantCulture), uint.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    /// <summary>Reads the text of a place.</summary>
    /// <exception cref="FormatException">It is not the text of a place.</exception>
    public static ChunkPlace Parse(string text)
    {
        if (text.StartsWith("key:", StringComparison.Ordinal))
            return new AfterKey(EntityKeyText.Split(text[4..]));
        var parts = text.Split(':');
        return parts is ["row", var table, var block, var offset]
            && uint.TryParse(table, NumberStyles.None, CultureInfo.InvariantCulture, out var oid)
            && long.TryParse(block, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && uint.TryParse(offset, NumberStyles.None, CultureInfo.InvariantCulture, out var item)
            ? new AfterRow(oid, number, item)
            : throw new FormatException($"'{text}' is not a place in a table.");
    }
}

/// <summary>After a key.</summary>
/// <param name="Values">The values of the key's columns in PostgreSQL's text form, in the order of the index.</param>
internal sealed record AfterKey(IReadOnlyList<string?> Values) : ChunkPlace
{
    public override string ToString() => $"key:{EntityKeyText.Join([.. Values])}";
}

/// <summary>After a row in the files of a table, or of a partition.</summary>
/// <param name="Table">OID of the table or partition that stores it.</param>
/// <param name="Block">Number of the block.</param>
/// <param name="Item">Number of the row in it, from 1; 0 for the start of the block.</param>
internal sealed record AfterRow(uint Table, long Block, uint Item) : ChunkPlace
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"row:{Table}:{Block}:{Item}");
}
