using System.Globalization;
using CdcOrleans.Configuration.Reading;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the routes, and checks whether they match the sources and sinks.</summary>
internal sealed class RouteReading
{
    private static readonly string[] Formats = ["debezium", "flat", "cloudevents"];

    private readonly IReadOnlyList<SourceReading> _sources;
    private readonly IReadOnlyList<SinkReading> _sinks;
    private readonly List<(RouteConfiguration Route, Value From)> _routes = [];
    private readonly HashSet<string> _used = [];
    private bool _allRead = true;

    private RouteReading(IReadOnlyList<SourceReading> sources, IReadOnlyList<SinkReading> sinks)
    {
        _sources = sources;
        _sinks = sinks;
    }

    /// <summary>Reads all routes. Sources or sinks that are null could not be read, so routes are not checked against them.</summary>
    public static IReadOnlyList<RouteConfiguration>? All(
        Value? list, IReadOnlyList<SourceReading>? sources, IReadOnlyList<SinkReading>? sinks, Findings findings)
    {
        if (list is null)
            return null;
        if (!list.IsList)
        {
            list.Refuse($"expected a list of routes, found {list.Kind}; write for example - {{ from: \"shop.*\", to: events }}");
            return null;
        }

        var reading = new RouteReading(sources ?? [], sinks ?? []);
        foreach (var item in list.AsList() ?? [])
            reading.One(item);
        reading.RefuseOverlaps();
        // When a route could not be read, it is not known what it uses, so these checks are left out.
        if (reading._allRead)
        {
            reading.RefuseSourcesWithoutRoute();
            reading.RefuseStreamsWithoutRoute();
            foreach (var sink in reading._sinks.Where(s => !reading._used.Contains(s.Name)))
                findings.Warn(sink.Value.KeyPlace, sink.Value.Path, "no route uses this sink; remove it or route to it");
        }

        return [.. reading._routes.Select(r => r.Route)];
    }

    private void One(Value item)
    {
        if (item.AsSection("from", "to", "format", "delivery") is not { } route)
        {
            _allRead = false;
            return;
        }

        var from = route.Require("from", "write source.schema.table with '*' for any text, such as \"shop.public.*\"");
        var to = route.Require("to", "name a sink, or a list of sinks");
        var format = Format(route.Find("format"));
        var pattern = From(from);
        var sinks = To(to);
        var delivery = DeliveryReading.Read(route.Find("delivery"));
        if (from is not null && pattern is not null && sinks is not null && format is not null)
            _routes.Add((new RouteConfiguration { From = pattern, To = sinks, Format = format, Delivery = sinks.ToDictionary(s => s, s => delivery(DefaultOf(s))) }, from));
        else
            _allRead = false;
    }

    private DeliveryPolicy DefaultOf(string sink) => _sinks.FirstOrDefault(s => s.Name == sink)?.Delivery ?? DeliveryPolicy.Default;

    private string? From(Value? from)
    {
        if (from?.AsText() is not { } pattern)
            return null;
        if (_sources.Count == 0)
            return pattern;
        var head = pattern.Split('.')[0];
        if (!_sources.Any(s => PatternOverlap.Exists(pattern, s.Name + ".*")))
        {
            var names = _sources.Select(s => s.Name).ToList();
            var hint = head.Contains('*', StringComparison.Ordinal) ? ";" : Spelling.Hint(head, names);
            from.Refuse(names.Contains(head)
                ? $"{from.Shown} names no table; write source.schema.table with '*' for any text, such as '{head}.*'"
                : $"{from.Shown} names no source{hint} the sources are {string.Join(", ", names)}");
            return null;
        }

        if (!_sources.Any(s => Selects(pattern, s)))
        {
            from.Refuse($"{from.Shown} selects no table that is captured; compare it with the tables of the source (source.schema.table, with '*' for any text)");
            return null;
        }

        return pattern;
    }

    private List<string>? To(Value? to)
    {
        if (to?.AsList() is not { } items)
            return null;
        var sinks = new List<string>();
        var complete = true;
        foreach (var item in items)
        {
            if (item.AsText() is not { } name)
            {
                complete = false;
            }
            else if (_sinks.Count > 0 && _sinks.All(s => s.Name != name))
            {
                var names = _sinks.Select(s => s.Name).ToList();
                var hint = Spelling.Hint(name, names);
                item.Refuse($"{item.Shown} is not a sink{hint} the sinks are {string.Join(", ", names)}");
                complete = false;
            }
            else if (sinks.Contains(name))
            {
                item.Refuse($"{item.Shown} is given twice; remove one");
                complete = false;
            }
            else
            {
                sinks.Add(name);
                _used.Add(name);
            }
        }

        return complete ? sinks : null;
    }

    // Null when it cannot be read.
    private static string? Format(Value? format)
    {
        if (format is null)
            return Formats[0];
        if (format.AsText() is not { } text || Formats.Contains(text))
            return format.AsText();
        format.Refuse($"{format.Shown} is not an event format{Spelling.Hint(text, Formats)} write {string.Join(" or ", Formats.Select(f => $"'{f}'"))}");
        return null;
    }

    private void RefuseOverlaps()
    {
        for (var later = 1; later < _routes.Count; later++)
        {
            for (var earlier = 0; earlier < later; earlier++)
            {
                var (route, from) = _routes[later];
                var (other, otherFrom) = _routes[earlier];
                if (route.To.Intersect(other.To).ToList() is not { Count: > 0 } shared || !PatternOverlap.Exists(route.From, other.From))
                    continue;
                from.Refuse(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{from.Shown} (line {from.Place.Line}) and {otherFrom.Shown} (line {otherFrom.Place.Line}) can select the same table for {(shared.Count == 1 ? "sink" : "sinks")} {string.Join(", ", shared.Select(s => $"'{s}'"))}, which would get its changes twice; narrow or remove one"));
            }
        }
    }

    private void RefuseStreamsWithoutRoute()
    {
        foreach (var (source, stream, value) in _sources.SelectMany(s => s.Asked.Select(a => (s.Name, a.Stream, a.Value))))
        {
            if (!_routes.Exists(r => NamePattern.Matches(r.Route.From, $"{source}.{stream}")))
                value.Refuse($"no route selects these events; add one such as - {{ from: \"{source}.{stream}\", to: … }}, or leave this out");
        }
    }

    private void RefuseSourcesWithoutRoute()
    {
        foreach (var source in _sources.Where(s => !_routes.Exists(r => Selects(r.Route.From, s))))
            source.Value.RefuseKey($"no route selects this source; add a route such as - {{ from: \"{source.Name}.*\", to: … }}, or remove the source");
    }

    private static bool Selects(string pattern, SourceReading source) =>
        source.Tables is { } tables
            ? tables.Any(t => PatternOverlap.Exists(pattern, $"{source.Name}.{t.Pattern}")) || source.Streams.Any(s => NamePattern.Matches(pattern, $"{source.Name}.{s}"))
            : PatternOverlap.Exists(pattern, source.Name + ".*");
}
