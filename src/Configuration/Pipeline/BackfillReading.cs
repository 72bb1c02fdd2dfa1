using System.Text;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the option <c>backfill</c> of a source or a table: a word, or a mapping.</summary>
internal static class BackfillReading
{
    private const int LongestName = 63;

    private static readonly (string Word, BackfillMode Mode)[] Modes =
        [("never", BackfillMode.Never), ("initial", BackfillMode.Initial), ("when_needed", BackfillMode.WhenNeeded)];

    // What concerns the backfills of a source as a whole.
    private static readonly string[] OfSourceOnly = ["chunk_time", "parallel"];

    /// <summary>Reads the option of a source, which is the default of its tables.</summary>
    /// <param name="value">The option.</param>
    /// <param name="replicas">The replicas of the source.</param>
    /// <param name="replica">The replica that rows are read from; null for the source itself.</param>
    public static BackfillOptions OfSource(Value? value, IReadOnlyDictionary<string, string> replicas, out string? replica)
    {
        var options = Read(value, BackfillOptions.Never, out var section);
        replica = section?.Find("replica") is { } named ? Replica(named, replicas) : null;
        foreach (var key in (string[])["where", "columns"])
            section?.Find(key)?.RefuseKey($"belongs to single tables; give it to a table, such as 'tables: [{{ table: public.orders, backfill: {{ {key}: … }} }}]'");
        return options ?? BackfillOptions.Never;
    }

    /// <summary>Reads the option of a table. What a mapping leaves out is as in the source. Null when there is none.</summary>
    /// <param name="value">The option.</param>
    /// <param name="source">The option of the source.</param>
    /// <param name="entities">What is stored of the table's entities.</param>
    public static BackfillOptions? OfTable(Value? value, BackfillOptions source, EntityMode entities)
    {
        if (Read(value, source, out var section) is not { } options)
            return null;
        foreach (var key in OfSourceOnly)
            section?.Find(key)?.RefuseKey($"belongs to the source, for all its backfills; give it to the source, such as 'backfill: {{ mode: {Word(options.Mode)}, {key}: … }}'");
        section?.Find("replica")?.RefuseKey("belongs to the source, because all of its tables are read from one server; write it as 'backfill: { replica: … }' beside 'tables'");
        if (options.Mode == BackfillMode.Never)
        {
            foreach (var key in (string[])["where", "columns", "rate"])
                section?.Find(key)?.RefuseKey("has no effect, because no rows are read: the mode is 'never'; write 'mode: initial' beside it, or leave it out");
        }
        else if (entities == EntityMode.Off)
        {
            value!.Refuse(
                "is not possible with 'entities: off': nothing is stored of a row, so it cannot be told whether a row that is read is older than what the log had of it; "
                + "write 'entities: version' or 'row', or 'backfill: never'");
        }

        return options;
    }

    private static BackfillOptions? Read(Value? value, BackfillOptions defaults, out Section? section)
    {
        section = null;
        if (value is null)
            return null;
        if (value.IsList)
        {
            value.Refuse("expected a word or a mapping, found a list; write 'never', 'initial' or 'when_needed', or for example '{ mode: initial, rate: 5000 }'");
            return null;
        }

        if (!value.IsMapping)
            return Mode(value) is { } word ? defaults with { Mode = word } : null;
        section = value.AsSection(["mode", "where", "columns", "rate", .. OfSourceOnly, "replica"])!;
        if (section.Values.Count == 0)
            section.Refuse("is empty; write for example '{ mode: initial, rate: 5000 }', or leave it out");
        return defaults with
        {
            Mode = Mode(section.Find("mode")) ?? defaults.Mode,
            Where = Where(section.Find("where")),
            Columns = Columns(section.Find("columns")),
            Rate = section.Find("rate")?.AsInteger(0, BackfillOptions.MostRate) ?? defaults.Rate,
            ChunkTime = section.Find("chunk_time")?.AsDuration(BackfillOptions.LeastChunkTime, BackfillOptions.MostChunkTime) ?? defaults.ChunkTime,
            Parallel = section.Find("parallel")?.AsInteger(1, BackfillOptions.MostParallel) ?? defaults.Parallel,
        };
    }

    private static string? Replica(Value value, IReadOnlyDictionary<string, string> replicas)
    {
        if (value.AsText() is not { } name || replicas.ContainsKey(name))
            return value.AsText();
        value.Refuse(replicas.Count == 0
            ? $"{value.Shown} is not a replica: the source has none; name its standbys under 'postgres', such as 'replicas: {{ {(PipelineReading.IsName(name) && !value.HasReferences ? name : "standby")}: {ConnectionText.Example} }}'"
            : $"{value.Shown} is not a replica of the source{Spelling.Hint(name, replicas.Keys)} its replicas are {string.Join(", ", replicas.Keys)}");
        return null;
    }

    private static BackfillMode? Mode(Value? value)
    {
        var text = value?.AsWord([.. Modes.Select(m => m.Word)]);
        return Modes.Any(m => m.Word == text) ? Modes.First(m => m.Word == text).Mode : null;
    }

    private static string Word(BackfillMode mode) => Modes.First(m => m.Mode == mode).Word;

    // What it says is checked by the server when the rows are to be read.
    private static string? Where(Value? value)
    {
        if (value?.AsText() is not { } text)
            return null;
        if (string.IsNullOrWhiteSpace(text))
            value.Refuse("is empty; write a condition on the table's columns as after WHERE, or leave it out for all rows");
        else if (text.Length > BackfillOptions.LongestWhere)
            value.Refuse($"has {text.Length} characters; write a condition of {BackfillOptions.LongestWhere} at most");
        return text;
    }

    private static List<string>? Columns(Value? value)
    {
        if (value?.AsList() is not { } items)
            return null;
        var columns = new List<string>();
        foreach (var item in items)
        {
            if (item.AsText() is not { } name)
                continue;
            if (Encoding.UTF8.GetByteCount(name) > LongestName || name.Any(char.IsControl))
                item.Refuse($"{item.Shown} is not a column name; PostgreSQL takes 1 to 63 bytes");
            else if (columns.Contains(name))
                item.Refuse($"{item.Shown} is given twice; remove one");
            else
                columns.Add(name);
        }

        return columns;
    }
}
