using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Grains.Partitions;

/// <summary>Makes the events that say what an entity is now: its row as a read, or its deletion.</summary>
internal static class CurrentEvents
{
    /// <summary>Returns why there is no such event; null when there is.</summary>
    public static string? Problem(EntityState? state) => state switch
    {
        null => "Nothing is stored of its entity. Redeliver it as 'event', or discard it.",
        { IsDoubtful: true } => "The row of its entity is from before a gap, and it is not known what has become of it. Start a repair (cdc backfills start --repair), or redeliver it as 'event'.",
        { Deleted: false, Row.IsPresent: false, Absence: RowAbsence.None } => "The rows of its table are not stored ('entities: version'). Redeliver it as 'event', or discard it.",
        { Deleted: false, Row.IsPresent: false } => "The row of its entity is not stored: it is too large, or what is stored is damaged. Redeliver it as 'event', or discard it.",
        _ => null,
    };

    /// <summary>Returns the events of a state for one sink, in order.</summary>
    /// <exception cref="Exception">The format cannot write the row.</exception>
    public static IReadOnlyList<SinkEvent> Of(SourceRuntime source, EntityKey entity, EntityState state, string sink)
    {
        var plan = source.Routes.Plan(state.Table);
        var completed = CurrentRow.Of(entity, state, plan, source.Name, source.Database, EventOrigin.Redelivery, source.Time.GetUtcNow());
        var events = new List<SinkEvent>();
        foreach (var output in plan.Outputs.Where(o => o.Targets.Any(t => t.Outlet.Name == sink)))
            output.Format.Format(in completed, events);
        for (var i = 0; i < events.Count; i++)
            events[i].Part = i;
        return events;
    }
}
