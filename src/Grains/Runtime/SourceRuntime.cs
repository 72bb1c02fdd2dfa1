using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Runtime;

/// <summary>What the partitions and entities of one source share on this silo.</summary>
internal sealed class SourceRuntime
{
    /// <summary>The source.</summary>
    public required SourceConfiguration Configuration { get; init; }

    /// <summary>Name of the source.</summary>
    public string Name => Configuration.Name;

    /// <summary>Name of the captured database.</summary>
    public required string Database { get; init; }

    /// <summary>The routes of each table.</summary>
    public required RouteTable Routes { get; init; }

    /// <summary>Reads states, many in one query.</summary>
    public required StateReader States { get; init; }

    /// <summary>Makes finished work durable.</summary>
    public required Checkpointer Checkpointer { get; init; }

    /// <summary>Limits the memory of awake entities and of recently written states, for all sources together.</summary>
    public required EntityBudget Budget { get; init; }

    /// <summary>Limits the memory of applies in progress and of what is not durable.</summary>
    public required MemoryBudget Memory { get; init; }

    /// <summary>States and progress in the control database.</summary>
    public required ICheckpointStore Store { get; init; }

    /// <summary>Parked events in the control database.</summary>
    public required IParkedStore Parked { get; init; }

    /// <summary>Reads the changes of entities that are sent again.</summary>
    public required IJournalHistories Histories { get; init; }

    /// <summary>The backfills in the control database.</summary>
    public required IBackfillStore Backfills { get; init; }

    /// <summary>The ways to the sinks.</summary>
    public required SourceOutlets Outlets { get; init; }

    /// <summary>Reads states for people and programs that ask, without taking connections from <see cref="Store"/>.</summary>
    public required IStateQueries Queries { get; init; }

    /// <summary>The dead letters in the control database.</summary>
    public required IDeadLetterStore Letters { get; init; }

    /// <summary>Table schemas in the control database.</summary>
    public required ISchemaStore Schemas { get; init; }

    /// <summary>Writes rows as JSON.</summary>
    public required IRowFormatter Rows { get; init; }

    /// <summary>The counters of the source.</summary>
    public required SourceFigures Figures { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The log of the source's entities and partitions.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>Reads a durable state for the pipeline itself.</summary>
    public async Task<EntityState?> ReadState(EntityKey key) =>
        await Schemas.FindTable(Name, key.Table, CancellationToken.None) is { } table
            ? (await Store.ReadStates([new StateKey(table, key.Key)], CancellationToken.None))[0]
            : null;

    /// <summary>Reads a durable state for people and programs that ask (<see cref="Queries"/>).</summary>
    public Task<EntityState?> QueryState(EntityKey key) => Queries.Find(Name, key, CancellationToken.None);
}
