using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Model.Configuration;
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

    /// <summary>Where changes go.</summary>
    public required RouteTable Routes { get; init; }

    /// <summary>Reads states, many at a time.</summary>
    public required StateReader States { get; init; }

    /// <summary>Makes finished work durable.</summary>
    public required Checkpointer Checkpointer { get; init; }

    /// <summary>Bytes that awake entities, and states written lately, may hold; of all sources together.</summary>
    public required EntityBudget Budget { get; init; }

    /// <summary>Bytes that applies may grow by.</summary>
    public required GrowthBudget Growth { get; init; }

    /// <summary>The control database's states and progress.</summary>
    public required ICheckpointStore Store { get; init; }

    /// <summary>The control database's table schemas.</summary>
    public required ISchemaStore Schemas { get; init; }

    /// <summary>Writes rows as people see them.</summary>
    public required IRowFormatter Rows { get; init; }

    /// <summary>What is counted.</summary>
    public required SourceFigures Figures { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The log of the source's entities and partitions.</summary>
    public required ILogger Logger { get; init; }
}
