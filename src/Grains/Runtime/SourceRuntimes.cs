using System.Data.Common;
using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Runtime;

/// <summary>The runtime of each configured source on this silo. It is created when the first partition of the source starts here.</summary>
internal sealed class SourceRuntimes : IAsyncDisposable
{
    private readonly PipelineConfiguration _configuration;
    private readonly IReadOnlyDictionary<string, ISink> _sinks;
    private readonly IEventFormat[] _formats;
    private readonly IRowFormatter _rows;
    private readonly ICheckpointStore _store;
    private readonly IParkedStore _parked;
    private readonly IJournalHistories _histories;
    private readonly IBackfillStore _backfills;
    private readonly IStateQueries _queries;
    private readonly IDeadLetterStore _letters;
    private readonly ISchemaStore _schemas;
    private readonly IGrainFactory _grains;
    private readonly ILocalSiloDetails _silo;
    private readonly SinkPauses _pauses;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly EntityBudget _budget;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, SourceRuntime> _sources = [];

    public SourceRuntimes(
        PipelineConfiguration configuration, ISinkFactory sinks, IEnumerable<IEventFormat> formats, IRowFormatter rows,
        ICheckpointStore store, IParkedStore parked, IJournalHistories histories, IBackfillStore backfills, IStateQueries queries,
        IDeadLetterStore letters, ISchemaStore schemas, IGrainFactory grains, ILocalSiloDetails silo, SinkPauses pauses, TimeProvider time, ILoggerFactory loggers)
    {
        _configuration = configuration;
        _sinks = configuration.Sinks.ToDictionary(s => s.Key, s => sinks.Create(s.Value));
        _formats = [.. formats];
        _rows = rows;
        _store = store;
        _parked = parked;
        _histories = histories;
        _backfills = backfills;
        _queries = queries;
        _letters = letters;
        _schemas = schemas;
        _grains = grains;
        _silo = silo;
        _pauses = pauses;
        _time = time;
        _loggers = loggers;
        _budget = new EntityBudget(configuration.Cluster.EntityCacheBytes, Math.Max(1, configuration.Sources.Values.Sum(s => s.Partitions)));
    }

    /// <summary>Returns the runtime of a source.</summary>
    /// <exception cref="KeyNotFoundException">No such source is configured.</exception>
    public SourceRuntime Get(string source)
    {
        lock (_gate)
        {
            if (_sources.TryGetValue(source, out var runtime))
                return runtime;
            if (!_configuration.Sources.TryGetValue(source, out var found))
                throw new KeyNotFoundException($"No source '{source}' is configured on this silo.");
            runtime = Build(found);
            _sources.Add(source, runtime);
            return runtime;
        }
    }

    /// <summary>Returns a sink; null when no such sink is configured.</summary>
    public ISink? Sink(string name) => _sinks.GetValueOrDefault(name);

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources.Values)
        {
            await source.Outlets.DisposeAsync();
            await source.Checkpointer.DisposeAsync();
            await source.States.DisposeAsync();
        }

        foreach (var sink in _sinks.Values)
            await sink.DisposeAsync();
    }

    private SourceRuntime Build(SourceConfiguration source)
    {
        var outlets = new SourceOutlets(source.Name, source.Partitions, _sinks.Values, Spill(), _time, _loggers.CreateLogger<Outlet>());
        _pauses.Add(outlets);
        outlets.Start();
        var limit = SourceMemory.Of(source, _configuration.Sources.Count, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        var memory = new MemoryBudget(SourceMemory.BesideWindow(source, limit));
        var figures = new SourceFigures(source, _time, _budget, memory, outlets.Status);
        var routes = new RouteTable(source, _configuration.Routes, outlets.ByName, _formats);
        var checkpointer = new Checkpointer(
            source, _silo.SiloAddress.ToParsableString(), _configuration.Control, _store, figures,
            _grains.GetGrain<IWalReaderGrain>(source.Name), _time, _loggers.CreateLogger<Checkpointer>());
        var states = new StateReader(_store, memory, figures, _time, _loggers.CreateLogger<StateReader>());
        return new SourceRuntime
        {
            Configuration = source,
            Database = DatabaseOf(source.Connection),
            Routes = routes,
            States = states,
            Checkpointer = checkpointer,
            Budget = _budget,
            Memory = memory,
            Store = _store,
            Parked = _parked,
            Histories = _histories,
            Backfills = _backfills,
            Outlets = outlets,
            Queries = _queries,
            Letters = _letters,
            Schemas = _schemas,
            Rows = _rows,
            Figures = figures,
            Time = _time,
            Logger = _loggers.CreateLogger<SourceRuntime>(),
        };
    }

    // Several routes may lead to a sink. The least limit counts.
    private Dictionary<string, long> Spill() => _configuration.Routes
        .SelectMany(r => r.To, (route, sink) => (Sink: sink, route.DeliveryTo(sink).SpillBytes))
        .GroupBy(r => r.Sink, r => r.SpillBytes)
        .ToDictionary(g => g.Key, g => g.Min());

    private static string DatabaseOf(string connection)
    {
        var parts = new DbConnectionStringBuilder { ConnectionString = connection };
        foreach (var key in (string[])["Database", "DB", "Username", "User Id"])
        {
            if (parts.TryGetValue(key, out var value) && value is string { Length: > 0 } name)
                return name;
        }

        return "";
    }
}
