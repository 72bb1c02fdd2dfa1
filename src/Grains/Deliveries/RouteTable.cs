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
    private readonly List<(RouteConfiguration Route, IEventFormat Format, Outlet[] Outlets)> _routes = [];
    private readonly ConcurrentDictionary<int, TablePlan> _plans = new();

    public RouteTable(
        SourceConfiguration source,
        IEnumerable<RouteConfiguration> routes,
        IReadOnlyDictionary<string, Outlet> outlets,
        IEnumerable<IEventFormat> formats)
    {
        _source = source;
        var byName = formats.ToDictionary(f => f.Name);
        foreach (var route in routes)
            _routes.Add((route, byName[route.Format], [.. route.To.Select(name => outlets[name])]));
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

    /// <summary>Returns the target at a sink for a table; null when no route of this configuration leads from it to the sink.</summary>
    /// <param name="table"><c>schema.table</c>.</param>
    /// <param name="sink">Name of the sink.</param>
    public SinkTarget? TargetOf(string table, string sink)
    {
        foreach (var (route, _, outlets) in _routes)
        {
            if (NamePattern.Matches(route.From, $"{_source.Name}.{table}") && outlets.FirstOrDefault(o => o.Name == sink) is { } outlet)
                return new SinkTarget(outlet, route.DeliveryTo(sink));
        }

        return null;
    }

    private TablePlan Build(TableSchema table)
    {
        var name = $"{_source.Name}.{table.FullName}";
        var isStream = table.Schema.Length == 0;
        var topic = isStream ? TopicName.ForStream(_source.Name, table) : TopicName.For(_source.Name, table.Schema, table.Name);

        // Routes of the same format share an output: a change is formatted once for the sinks of all of them.
        var outputs = new List<TableOutput>();
        foreach (var (route, format, outlets) in _routes)
        {
            if (!NamePattern.Matches(route.From, name))
                continue;
            SinkTarget[] targets = [.. outlets.Select(o => new SinkTarget(o, route.DeliveryTo(o.Name)))];
            var same = outputs.FindIndex(o => ReferenceEquals(o.Format, format));
            if (same < 0)
                outputs.Add(new TableOutput(format, targets));
            else
                outputs[same] = new TableOutput(format, [.. outputs[same].Targets, .. targets]);
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
            HasJournal = selection?.Journal is not null,
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

    /// <summary>The replay to which an entity belongs; null for a change.</summary>
    public ReplayWork? Replay { get; init; }

    /// <summary>The chunk of a backfill to which a row belongs; null for a change.</summary>
    public BackfillWork? Backfill { get; init; }

    /// <summary>
    /// Whether one of several sinks answers late now. Then the entity wakes, because a change in passing would hold up the next one at the
    /// other sinks.
    /// </summary>
    public bool HasSlowSink
    {
        get
        {
            if (Replay is { MayHoldUp: true })
                return true;
            if (Outputs is [] or [{ Targets.Length: 1 }])
                return false;
            foreach (var output in Outputs)
            {
                foreach (var target in output.Targets)
                {
                    if (target.Outlet.IsSlow)
                        return true;
                }
            }

            return false;
        }
    }

    /// <summary>Whether its rows have a key.</summary>
    public bool HasKey { get; init; }

    /// <summary>How values are written.</summary>
    public ValueOptions Values { get; init; } = ValueOptions.Default;

    /// <summary>How values that are too long are handled.</summary>
    public LargeValueOptions LargeValues { get; init; } = new();

    /// <summary>Which changes make events.</summary>
    public EventOptions Events { get; init; } = EventOptions.Default;

    /// <summary>Whether its changes are kept in a journal.</summary>
    public bool HasJournal { get; init; }

    /// <summary>How often an event is in memory at most: in the buffer of its format, by itself, and in each sink.</summary>
    private int Copies { get; } = Outputs.Sum(output => 2 + output.Targets.Length);

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

/// <summary>One event format, and the sinks that get it.</summary>
internal sealed record TableOutput(IEventFormat Format, SinkTarget[] Targets);
