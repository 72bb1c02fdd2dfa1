using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces.Configuration;
using CdcOrleans.Grains.Interfaces.Schemas;
using CdcOrleans.Grains.Interfaces.Sinks;

namespace CdcOrleans.Grains.Deliveries;

/// <summary>Where the changes of each table of a source go, and what its entities hold. Safe for concurrent use.</summary>
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

    /// <summary>The plan of a table; the same object as long as the table keeps its name.</summary>
    public TablePlan Plan(TableSchema table)
    {
        if (_plans.TryGetValue(table.TableId, out var plan) && plan.Table == table.FullName)
            return plan;
        plan = Build(table);
        _plans[table.TableId] = plan;
        return plan;
    }

    private TablePlan Build(TableSchema table)
    {
        var name = $"{_source.Name}.{table.FullName}";
        var topic = TopicName.For(_source.Name, table.Schema, table.Name);
        var outputs = new List<TableOutput>();
        foreach (var (route, format, sinks) in _routes)
        {
            if (NamePattern.Matches(route.From, name))
                outputs.Add(new TableOutput(format, sinks));
        }

        var selection = _source.Select(table.Schema, table.Name);
        return new TablePlan(table.FullName, topic, selection?.Entities ?? EntityMode.Row, selection?.Values ?? _source.Values, [.. outputs]);
    }
}

/// <summary>What happens to the changes of one table.</summary>
/// <param name="Table"><c>schema.table</c>.</param>
/// <param name="Topic">Topic of its events.</param>
/// <param name="Mode">What its entities hold.</param>
/// <param name="Values">How values are written.</param>
/// <param name="Outputs">Formats and the sinks that take them; empty when no route matches.</param>
internal sealed record TablePlan(string Table, string Topic, EntityMode Mode, ValueOptions Values, TableOutput[] Outputs);

/// <summary>One event format and the sinks that take it.</summary>
internal sealed record TableOutput(IEventFormat Format, ISink[] Sinks);
