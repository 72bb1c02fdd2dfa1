using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Begin: the transaction of the messages up to the next commit.</summary>
internal readonly record struct BeginMessage(Lsn CommitLsn, long CommitMicros, uint Xid)
{
    // The server's time begins at 2000-01-01.
    private const long EpochMicros = 946_684_800_000_000;

    public static BeginMessage Read(ref WireReader reader) =>
        new(new Lsn(reader.UInt64()), reader.Int64() + EpochMicros, reader.UInt32());
}
