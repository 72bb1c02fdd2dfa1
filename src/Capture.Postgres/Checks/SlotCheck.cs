using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Whether the slot can be created, or adopted as it is.</summary>
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

    /// <summary>What is wrong with the slot's name; null when nothing is.</summary>
    public static string? NameFinding(SourceConfiguration source) =>
        source.Slot.Length is > 0 and <= 63 && source.Slot.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_')
            ? null
            : $"{Place(source)}: '{source.Slot}' is not a slot name. Use up to 63 lower-case letters, digits and underscores.";

    public static string Missing(SourceConfiguration source) =>
        $"{Place(source)}: slot {source.Slot} does not exist (any more), so changes since it was dropped cannot be had from the log. "
        + $"To go on without them: {Accept(source)}";

    /// <summary>Why changes are missing between what was read last and what the slot gives; null when none are.</summary>
    public static string? Gap(SourceConfiguration source, ServerFacts server, SlotFacts? slot, SourceMark? mark)
    {
        if (mark is null)
            return null;
        if (server.SystemIdentifier != mark.SystemIdentifier)
            return $"this is another server than the one that was read before (its system identifier was {mark.SystemIdentifier}, and is {server.SystemIdentifier})";
        if (server.Written < mark.Confirmed)
            return $"the server's log ends at {server.Written}, and was read up to {mark.Confirmed} before: it was restored from a backup, or is a copy";
        if (slot is null)
            return $"slot {source.Slot}, which was read up to {mark.Confirmed}, is gone";
        return slot.Confirmed > mark.Confirmed
            ? $"slot {source.Slot} begins at {slot.Confirmed}, and was read up to {mark.Confirmed} only: it was made anew, or somebody moved it"
            : null;
    }

    /// <summary>The same, where nobody has accepted it.</summary>
    public static string Unaccepted(SourceConfiguration source, string gap) =>
        $"{Place(source)}: {gap}. Changes that were made in between are not in its log any more, so nothing is read. "
        + $"To go on without them: {Accept(source)}";

    private static string Accept(SourceConfiguration source) =>
        $"run SELECT cdc.accept_gap({Sql.Text(source.Name)}); in the control database; within a minute the source forgets what it holds of rows and goes on from now.";

    public static string Lost(SourceConfiguration source) =>
        $"{Place(source)}: slot {source.Slot} is lost: the server has removed log that it needs (max_slot_wal_keep_size). "
        + $"Run SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});, and then, to go on without what was in it, {Accept(source)}";

    public static string InUse(SourceConfiguration source, SlotFacts slot) =>
        $"{Place(source)}: slot {source.Slot} is in use by server process {slot.ActiveProcess}"
        + $" (client {slot.ActiveClient ?? "unknown"}, application '{slot.ActiveName}'). "
        + $"Stop that client, end it with SELECT pg_terminate_backend({slot.ActiveProcess});, or name another slot.";

    private static string Place(SourceConfiguration source) => $"sources.{source.Name}.postgres.slot";
}
