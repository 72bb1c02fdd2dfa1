using System.Globalization;
using System.Text;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>A source in the file, and how it is read.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value in the file.</param>
/// <param name="Tables">Its tables; null when they could not be read.</param>
/// <param name="Configuration">The source; null when it could not be read.</param>
internal sealed record SourceReading(string Name, Value Value, IReadOnlyList<TableSelection>? Tables, SourceConfiguration? Configuration)
{
    private const int LongestIdentifier = 63;

    /// <summary>Names of its events that are not changes of rows. Routes select them as <c>source.name</c>.</summary>
    public IReadOnlyList<string> Streams { get; private init; } = [];

    /// <summary>Those of these events that the file switches on, with their place. They must have a route.</summary>
    public IReadOnlyList<(string Stream, Value Value)> Asked { get; private init; } = [];

    /// <summary>Reads all sources.</summary>
    public static IReadOnlyList<SourceReading>? All(Section? sources)
    {
        if (sources is null)
            return null;
        if (sources.Values.Count == 0)
            sources.Refuse("is empty; name at least one captured database");
        var slots = new Dictionary<(string Server, string Slot), Value>();
        return [.. sources.Values.Select(s => One(s.Key, s.Value, slots))];
    }

    private static SourceReading One(string name, Value value, Dictionary<(string Server, string Slot), Value> slots)
    {
        if (!PipelineReading.IsName(name))
            value.RefuseKey($"'{name}' is not a source name; write letters, digits, '_' and '-'");
        if (value.AsSection("postgres", "tables", "backfill", "partitions", "window", "memory", "heartbeat", "values", "large_values", "events") is not { } source)
            return new SourceReading(name, value, null, null);

        var postgres = source.Require("postgres", "write 'postgres: { connection: … }'")?.AsSection("connection", "slot", "publication", "publish_via_partition_root", "replicas");
        var connection = postgres?.Require("connection", $"write for example 'connection: {ConnectionText.Example}'");
        ConnectionText.Check(connection);
        var slot = Slot(name, postgres);
        if (slot is not null && connection?.AsText() is { } text && ConnectionText.ServerOf(text) is { } server && !slots.TryAdd((server, slot), value))
        {
            (postgres!.Find("slot") ?? value).Refuse(string.Create(
                CultureInfo.InvariantCulture,
                $"the slot is also that of {slots[(server, slot)].Path} (line {slots[(server, slot)].KeyPlace.Line}) on the same server; give each source a slot of its own"));
        }

        var publication = Publication(name, postgres);
        var values = ValueReading.Read(source.Find("values"), ValueOptions.Default) ?? ValueOptions.Default;
        var events = EventReading.Section(source.Find("events"));
        var options = EventReading.Options(events);
        var viaRoot = EventReading.Flag(postgres?.Find("publish_via_partition_root"));
        var replicas = ReplicaReading.All(postgres?.Find("replicas"));
        var backfill = BackfillReading.OfSource(source.Find("backfill"), replicas, out var replica);
        var tables = ReadTables(
            source.Require("tables", "list at least one table or pattern, such as 'tables: [\"public.*\"]'"), values, options, backfill);
        var partitions = source.Find("partitions")?.AsInteger(1, 4096);
        var window = source.Find("window")?.AsSection("changes", "bytes");
        var changes = window?.Find("changes")?.AsInteger(1_000, 10_000_000);
        var bytes = window?.Find("bytes")?.AsSize(1L << 20, 64L << 30);
        var memory = source.Find("memory")?.AsSize(2L << 20, 1024L << 30);
        var large = source.Find("large_values")?.AsSection("limit", "policy");
        var limit = large?.Find("limit")?.AsSize(1 << 10, 1 << 30);
        var policy = large?.Find("policy")?.AsWord("omit", "refuse");
        var heartbeat = source.Find("heartbeat")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1), orZero: "none");
        if (connection?.AsText() is null || slot is null || publication is null || tables is null)
            return new SourceReading(name, value, tables, null);

        var defaults = new SourceConfiguration { Name = name, Connection = connection.AsText()!, Slot = slot, Publication = publication, Tables = tables };
        var read = EventReading.OfSource(events, options, defaults) with
        {
            Backfill = backfill,
            Replicas = replicas,
            BackfillReplica = replica,
            ViaPartitionRoot = viaRoot ?? defaults.ViaPartitionRoot,
            Partitions = partitions ?? defaults.Partitions,
            WindowChanges = changes ?? defaults.WindowChanges,
            WindowBytes = bytes ?? defaults.WindowBytes,
            MemoryBytes = memory,
            Values = values,
            LargeValues = new LargeValueOptions
            {
                Limit = (int?)limit ?? defaults.LargeValues.Limit, Policy = policy == "refuse" ? LargeValuePolicy.Refuse : LargeValuePolicy.Omit,
            },
            HeartbeatInterval = heartbeat ?? defaults.HeartbeatInterval,
        };
        if (memory < 2 * read.WindowBytes)
            source.Find("memory")!.Refuse($"is smaller than twice the window ({Units.Show(read.WindowBytes)}), which is a part of it; write at least {Units.Show(2 * read.WindowBytes)}, or lower 'window.bytes'");
        if (read.HeartbeatEvents && read.HeartbeatInterval == TimeSpan.Zero)
            events!.Refuse("heartbeats", "there are no heartbeats, because 'heartbeat' is 0; set an interval there, or leave this out");
        return new SourceReading(name, value, tables, read)
        {
            Streams = [.. StreamsOf(read)],
            Asked = [.. events is null ? [] : AskedOf(events, read)],
        };
    }

    // The events that are not changes of rows.
    private static IEnumerable<string> StreamsOf(SourceConfiguration source)
    {
        if (source.Messages.Count > 0)
            yield return SourceStreams.Messages.Name;
        if (source.Transactions)
            yield return SourceStreams.Transactions.Name;
        if (source.HeartbeatEvents)
            yield return SourceStreams.Heartbeats.Name;
    }

    private static IEnumerable<(string Stream, Value Value)> AskedOf(Section events, SourceConfiguration source)
    {
        if (source.Messages.Count > 0 && events.Find("messages") is { } messages)
            yield return (SourceStreams.Messages.Name, messages);
        if (source.Transactions)
            yield return (SourceStreams.Transactions.Name, events.Find("transactions")!);
        if (source.HeartbeatEvents)
            yield return (SourceStreams.Heartbeats.Name, events.Find("heartbeats")!);
    }

    private static string? Slot(string name, Section? postgres)
    {
        if (postgres is null)
            return null;
        if (postgres.Find("slot") is { } value)
        {
            if (value.AsText() is not { } text || IsSlot(text))
                return value.AsText();
            value.Refuse($"{value.Shown} is not a slot name; PostgreSQL takes 1 to 63 characters of a-z, 0-9 and '_'");
            return null;
        }

        if (IsSlot($"cdc_{name}"))
            return $"cdc_{name}";
        postgres.Refuse("slot", $"is missing, and its default 'cdc_{name}' is not a slot name; write one of 1 to 63 characters of a-z, 0-9 and '_'");
        return null;
    }

    private static string? Publication(string name, Section? postgres)
    {
        if (postgres is null)
            return null;
        if (postgres.Find("publication") is { } value)
        {
            if (value.AsText() is not { } text || IsIdentifier(text))
                return value.AsText();
            value.Refuse($"{value.Shown} is not a publication name; PostgreSQL takes 1 to 63 bytes");
            return null;
        }

        if (IsIdentifier($"cdc_{name}"))
            return $"cdc_{name}";
        postgres.Refuse("publication", $"is missing, and its default 'cdc_{name}' is longer than the 63 bytes that PostgreSQL takes; write a shorter one");
        return null;
    }

    private static List<TableSelection>? ReadTables(Value? list, ValueOptions values, EventOptions events, BackfillOptions backfill)
    {
        if (list?.AsList() is not { } items)
            return null;
        var tables = new List<TableSelection>();
        var first = new Dictionary<string, Value>();
        var complete = true;
        foreach (var item in items)
        {
            if (Table(item, values, events, backfill, out var place) is not { } table)
            {
                complete = false;
            }
            else if (!first.TryAdd(table.Pattern, place))
            {
                place.Refuse(string.Create(CultureInfo.InvariantCulture, $"{place.Shown} is given twice, first at line {first[table.Pattern].Place.Line}; remove one"));
                complete = false;
            }
            else
            {
                tables.Add(table);
            }
        }

        return complete ? tables : null;
    }

    private static TableSelection? Table(Value item, ValueOptions defaults, EventOptions defaultEvents, BackfillOptions defaultBackfill, out Value pattern)
    {
        pattern = item;
        string? entities = null;
        string? activation = null;
        ValueOptions? values = null;
        EventOptions? events = null;
        JournalOptions? journal = null;
        BackfillOptions? backfill = null;
        if (item.IsMapping)
        {
            var section = item.AsSection("table", "entities", "activation", "values", "events", "journal", "backfill")!;
            journal = Journal(section.Find("journal"));
            entities = section.Find("entities")?.AsWord("row", "version", "off");
            activation = section.Find("activation")?.AsWord("when_needed", "always");
            values = ValueReading.Read(section.Find("values"), defaults);
            events = EventReading.OfTable(section.Find("events"), defaultEvents);
            backfill = BackfillReading.OfTable(section.Find("backfill"), defaultBackfill, ModeOf(entities));
            if (section.Require("table", "write for example 'table: public.audit'") is not { } named)
                return null;
            pattern = named;
        }

        if (pattern.AsText() is not { } text)
            return null;
        if (!text.Contains('*', StringComparison.Ordinal) && text.IndexOf('.', StringComparison.Ordinal) is var dot && (dot <= 0 || dot == text.Length - 1))
        {
            pattern.Refuse(pattern.HasReferences || dot >= 0
                ? $"{pattern.Shown} is not a table; write schema.table, with '*' for any text"
                : $"{pattern.Shown} names no schema; write schema.table, such as 'public.{text}', with '*' for any text");
            return null;
        }

        return new TableSelection
        {
            Pattern = text,
            Values = values,
            Events = events,
            Journal = journal,
            Backfill = backfill,
            Activation = activation == "always" ? EntityActivation.Always : EntityActivation.WhenNeeded,
            Entities = ModeOf(entities),
        };
    }

    private static JournalOptions? Journal(Value? value)
    {
        if (value?.AsSection("age", "size") is not { } section)
            return null;
        var age = section.Find("age");
        var size = section.Find("size");
        if (age is null && size is null)
            section.Refuse("is empty; write how long changes are kept, as 'age', 'size' or both, such as 'journal: { age: 7d, size: 10GB }', or leave it out for no journal");
        return new JournalOptions
        {
            Age = age?.AsDuration(TimeSpan.FromHours(1), TimeSpan.FromDays(3650)), Size = size?.AsSize(64L << 20, 1L << 46),
        };
    }

    private static EntityMode ModeOf(string? entities) => entities switch { "version" => EntityMode.Version, "off" => EntityMode.Off, _ => EntityMode.Row };

    private static bool IsSlot(string name) =>
        name.Length is > 0 and <= LongestIdentifier && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_');

    private static bool IsIdentifier(string name) =>
        name.Length > 0 && Encoding.UTF8.GetByteCount(name) <= LongestIdentifier && !name.Any(char.IsControl);
}
