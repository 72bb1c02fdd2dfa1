using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Capture.Postgres.Checks;

/// <summary>Checks whether the server and our role allow streaming.</summary>
internal static class ServerCheck
{
    private const int Oldest = 13;

    public static IEnumerable<string> Findings(SourceConfiguration source, string server, ServerFacts facts, SlotFacts? slot)
    {
        var place = $"sources.{source.Name}.postgres.connection";
        if (facts.VersionNumber < Oldest * 10_000)
            yield return $"{place}: {server} runs PostgreSQL {facts.Version}; versions 13 to 18 are supported. Upgrade the server.";
        if (facts.IsStandby)
        {
            yield return $"{place}: {server} is a standby, where neither publications nor heartbeats can be written. "
                + "Connect to the primary (several hosts: add Target Session Attributes=primary).";
        }

        if (facts.WalLevel != "logical")
        {
            yield return $"{place}: {server} has wal_level = {facts.WalLevel}; capture needs logical. "
                + "Run ALTER SYSTEM SET wal_level = 'logical'; as a superuser and restart the server.";
        }

        if (facts.Encoding == "SQL_ASCII")
        {
            yield return $"{place}: database {facts.Database} has the encoding SQL_ASCII, so the encoding of its text is not known. "
                + "Move the data into a database created with ENCODING 'UTF8'.";
        }

        if (!facts.MayReplicate)
        {
            yield return $"{place}: role {facts.Role} may not replicate. "
                + $"Run ALTER ROLE {Sql.Name(facts.Role)} REPLICATION; as a superuser (on Amazon RDS: GRANT rds_replication TO {Sql.Name(facts.Role)};).";
        }

        if (slot is null && facts.Slots >= facts.MaxSlots)
        {
            yield return $"{place}: all {facts.MaxSlots} replication slots of {server} are taken. "
                + "Drop a slot that nobody uses (SELECT slot_name, active FROM pg_replication_slots;), or raise max_replication_slots and restart.";
        }

        if (slot?.ActiveProcess is null && facts.Senders >= facts.MaxSenders)
        {
            yield return $"{place}: all {facts.MaxSenders} WAL senders of {server} are busy. Raise max_wal_senders and restart the server.";
        }
    }
}
