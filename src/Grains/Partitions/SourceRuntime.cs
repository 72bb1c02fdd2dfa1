using CdcOrleans.Grains.Checkpoints;
using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>What all partitions of one source on this silo share.</summary>
internal sealed class SourceRuntime
{
    public SourceRuntime(
        SourceConfiguration configuration,
        string database,
        RouteTable routes,
        StateReader states,
        Checkpointer checkpointer,
        EntityBudget budget,
        ICheckpointStore store,
        IRowFormatter rows,
        SourceFigures figures)
    {
        Configuration = configuration;
        Database = database;
        Routes = routes;
        States = states;
        Checkpointer = checkpointer;
        Budget = budget;
        Growth = new GrowthBudget(2 * configuration.WindowBytes);
        Store = store;
        Rows = rows;
        Figures = figures;
    }

    public SourceConfiguration Configuration { get; }

    public string Name => Configuration.Name;

    /// <summary>Name of the captured database.</summary>
    public string Database { get; }

    public RouteTable Routes { get; }

    public StateReader States { get; }

    public Checkpointer Checkpointer { get; }

    public EntityBudget Budget { get; }

    /// <summary>What applies may grow by: twice the window, which bounds what they grow from.</summary>
    public GrowthBudget Growth { get; }

    public ICheckpointStore Store { get; }

    public IRowFormatter Rows { get; }

    public SourceFigures Figures { get; }
}
