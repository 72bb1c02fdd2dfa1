using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Checks whether the slot can be created, or used as it is.</summary>
internal static class SlotCheck
{
    public static IEnumerable<string> Findings(SourceConfiguration source, string readerName, ServerFacts server, SlotFacts? slot)
    {
        if (NameFinding(source) is { } name)
        {
            yield return name;
            yield break;
        }

        if (slot is null)
            yield break;
        if (slot.Type != "logical" || slot.Plugin != "pgoutput")
        {
            yield return $"{Place(source)}: slot {source.Slot} exists and is {(slot.Type == "logical" ? $"made for the plugin {slot.Plugin}" : $"a {slot.Type} slot")}; "
                + "capture needs a logical slot made for pgoutput. Name another slot, or drop this one if nobody uses it: "
                + $"SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});";
            yield break;
        }

        if (slot.Database != server.Database)
        {
            yield return $"{Place(source)}: slot {source.Slot} belongs to database {slot.Database}, and the source is database {server.Database}. "
                + "Name another slot; their names are unique on a server.";
        }

        if (slot.IsLost)
            yield return Lost(source);
        if (slot.ActiveProcess is not null && slot.ActiveName != readerName)
            yield return InUse(source, slot);
    }

    /// <summary>Returns what is wrong with the name of the slot; null when nothing is.</summary>
    public static string? NameFinding(SourceConfiguration source) =>
        source.Slot.Length is > 0 and <= 63 && source.Slot.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_')
            ? null
            : $"{Place(source)}: '{source.Slot}' is not a slot name. Use up to 63 lower-case letters, digits and underscores.";

    public static string Missing(SourceConfiguration source) =>
        $"{Place(source)}: slot {source.Slot} does not exist (any more), so the changes since it was dropped cannot be read. "
        + $"To continue without them: {Accept(source)}";

    /// <summary>
    /// Returns why changes are missing between the confirmed position and the start of the slot, or why the server's log may lack what was
    /// delivered; null when nothing is missing.
    /// </summary>
    public static string? Gap(SourceConfiguration source, ServerFacts server, ServerTimelines timelines, SlotFacts? slot, ConfirmedPosition? last)
    {
        if (last is null)
            return null;
        if (server.SystemIdentifier != last.Log.SystemIdentifier)
            return $"this is not the server that was read before (the system identifier was {last.Log.SystemIdentifier}, and is now {server.SystemIdentifier})";
        if (TimelineCheck.Divergence(timelines, last) is { } divergence)
            return divergence;
        if (server.Written < last.Reached)
            return $"the server's log ends at {server.Written}, but it was read up to {last.Reached} before: the server was restored from a backup, or is a copy";
        if (slot is null)
        {
            return $"slot {source.Slot}, which was read up to {last.Confirmed}, is gone"
                + (timelines.Log.MayBe(last.Log)
                    ? ""
                    : " (the server was promoted since; a standby has a copy of the slot only from PostgreSQL 17 on, with sync_replication_slots = on and a slot made with failover = true)");
        }

        return slot.Confirmed > last.Confirmed
            ? $"slot {source.Slot} begins at {slot.Confirmed}, but it was read only up to {last.Confirmed}: the slot was created again, or somebody moved it"
            : null;
    }

    /// <summary>The message for missing changes that nobody has accepted.</summary>
    public static string Unaccepted(SourceConfiguration source, string gap) =>
        $"{Place(source)}: {gap}. So what was delivered does not continue in this log, and nothing is read. "
        + $"To continue without them: {Accept(source)}";

    private static string Accept(SourceConfiguration source) =>
        $"run SELECT cdc.accept_gap({Sql.Text(source.Name)}); in the control database; within a minute the source deletes its stored rows and continues from the current position.";

    public static string Lost(SourceConfiguration source) =>
        $"{Place(source)}: slot {source.Slot} is lost: the server has removed a part of the log that the slot needs (max_slot_wal_keep_size). "
        + $"Run SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});. Then, to continue without the changes in it, {Accept(source)}";

    public static string InUse(SourceConfiguration source, SlotFacts slot) =>
        $"{Place(source)}: slot {source.Slot} is in use by server process {slot.ActiveProcess}"
        + $" (client {slot.ActiveClient ?? "unknown"}, application '{slot.ActiveName}'). "
        + $"Stop that client, end it with SELECT pg_terminate_backend({slot.ActiveProcess});, or name another slot.";

    private static string Place(SourceConfiguration source) => $"sources.{source.Name}.postgres.slot";
}
