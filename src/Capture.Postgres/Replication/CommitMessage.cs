using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Commit: the end of a transaction.</summary>
internal readonly record struct CommitMessage(Lsn CommitLsn, Lsn EndLsn)
{
    public static CommitMessage Read(ref WireReader reader)
    {
        reader.Byte(); // Flags, unused by the server.
        return new CommitMessage(new Lsn(reader.UInt64()), new Lsn(reader.UInt64()));
    }
}
