using System.Collections.Concurrent;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>The routes of each table of a source, and what is stored of its entities. Safe for concurrent use.</summary>
internal sealed class RouteTable
{
    private readonly SourceConfiguration _source;
    private readonly List<(RouteConfiguration Route, IEventFormat Format, ISink[] Sinks)> _routes = [];
    private readonly ConcurrentDictionary<int, TablePlan> _plans = new();

    public RouteTable(
        SourceConfiguration source,
        IEnumerable<RouteConfiguration> routes,
        IReadOnlyDictionary<string, ISink> sinks,
        IEnumerable<IEventFormat> formats)
    {
        _source = source;
        var byName = formats.ToDictionary(f => f.Name);
        foreach (var route in routes)
            _routes.Add((route, byName[route.Format], [.. route.To.Select(name => sinks[name])]));
    }

    /// <summary>
    /// Returns the plan of a table. It is the same object as long as the table's name does not change, and a key is not added or removed.
    /// </summary>
    public TablePlan Plan(TableSchema table)
    {
        if (_plans.TryGetValue(table.TableId, out var plan) && plan.Table == table.FullName && plan.InsertsOnly == table.InsertsOnly && plan.HasKey == table.Key.Length > 0)
            return plan;
        plan = Build(table);
        _plans[table.TableId] = plan;
        return plan;
    }

    private TablePlan Build(TableSchema table)
    {
        var name = $"{_source.Name}.{table.FullName}";
        var isStream = table.Schema.Length == 0;
        var topic = isStream ? TopicName.ForStream(_source.Name, table) : TopicName.For(_source.Name, table.Schema, table.Name);
        var outputs = new List<TableOutput>();
        foreach (var (route, format, sinks) in _routes)
        {
            if (NamePattern.Matches(route.From, name))
                outputs.Add(new TableOutput(format, sinks));
        }

        var selection = isStream ? null : _source.Select(table.Schema, table.Name);
        // Without updates and deletions in the log, or without a key, there is no row to store.
        var storesNothing = isStream || table.InsertsOnly || table.Key.Length == 0;
        return new TablePlan(table.FullName, topic, [.. outputs])
        {
            Activation = selection?.Activation ?? EntityActivation.WhenNeeded,
            Mode = storesNothing ? EntityMode.Off : selection?.Entities ?? EntityMode.Row,
            InsertsOnly = table.InsertsOnly,
            HasKey = table.Key.Length > 0,
            Values = selection?.Values ?? _source.Values,
            Events = selection?.Events ?? _source.Events,
            LargeValues = _source.LargeValues,
        };
    }
}

/// <summary>How the changes of one table are handled.</summary>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="Topic">Topic of its events.</param>
/// <param name="Outputs">Formats, each with its sinks; empty when no route matches.</param>
internal sealed record TablePlan(string Table, string Topic, TableOutput[] Outputs)
{
    /// <summary>What is stored of its entities.</summary>
    public EntityMode Mode { get; init; }

    /// <summary>When its entities wake.</summary>
    public EntityActivation Activation { get; init; }

    /// <summary>Whether the log has only its inserts.</summary>
    public bool InsertsOnly { get; init; }

    /// <summary>Whether its rows have a key.</summary>
    public bool HasKey { get; init; }

    /// <summary>How values are written.</summary>
    public ValueOptions Values { get; init; } = ValueOptions.Default;

    /// <summary>How values that are too long are handled.</summary>
    public LargeValueOptions LargeValues { get; init; } = new();

    /// <summary>Which changes make events.</summary>
    public EventOptions Events { get; init; } = EventOptions.Default;

    /// <summary>How often an event is in memory at most: in the buffer of its format, by itself, and in each sink.</summary>
    private int Copies { get; } = Outputs.Sum(output => 2 + output.Sinks.Length);

    /// <summary>
    /// Returns the bytes that the apply of a change needs in addition to the change: the stored row, the completed row, and the events,
    /// which have the row before and the row after the change.
    /// </summary>
    /// <param name="stored">Size of the stored row, in bytes; 0 when there is none.</param>
    /// <param name="change">The change.</param>
    public long RoomFor(long stored, RowChange change)
    {
        var completed = change.After.IsPresent ? stored : 0;
        var events = stored + completed + change.Before.Size + change.After.Size;
        return stored + completed + (Copies * events);
    }
}

/// <summary>One event format and its sinks.</summary>
internal sealed record TableOutput(IEventFormat Format, ISink[] Sinks);
