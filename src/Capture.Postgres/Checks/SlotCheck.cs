using CdcOrleans.Grains.Interfaces.Configuration;

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
        + "Start the source again to create the slot, and backfill its tables.";

    public static string Lost(SourceConfiguration source) =>
        $"{Place(source)}: slot {source.Slot} is lost: the server has removed log that it needs (max_slot_wal_keep_size). "
        + $"Run SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});, start the source again to create it anew, and backfill its tables.";

    public static string InUse(SourceConfiguration source, SlotFacts slot) =>
        $"{Place(source)}: slot {source.Slot} is in use by server process {slot.ActiveProcess}"
        + $" (client {slot.ActiveClient ?? "unknown"}, application '{slot.ActiveName}'). "
        + $"Stop that client, end it with SELECT pg_terminate_backend({slot.ActiveProcess});, or name another slot.";

    private static string Place(SourceConfiguration source) => $"sources.{source.Name}.postgres.slot";
}
