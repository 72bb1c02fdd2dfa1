namespace CdcOrleans.Model.Backfills;

/// <summary>Transaction ids. The log has the lower 32 bits of an id; the server compares ids of 64 bits, which are never used again.</summary>
public static class TransactionIds
{
    /// <summary>Completes an id of the log: the result has its 32 bits and is the nearest to an id of the same time.</summary>
    /// <param name="xid">The id as in the log; 0 for none.</param>
    /// <param name="reference">
    /// A full id that the server gave lately, such as the <c>xmax</c> of a snapshot. It must be less than 2^31 away. That is so for everything
    /// that a slot can still send: the server keeps the slot's catalog horizon (<c>catalog_xmin</c>), no transaction that it sends is
    /// older, and the server gives out no id that is 2^31 above the horizon.
    /// </param>
    /// <returns>The full id; 0 for none.</returns>
    public static ulong Widen(uint xid, ulong reference)
    {
        if (xid == 0)
            return 0;
        var distance = (long)(int)(xid - (uint)reference);

        // Before the first 2^31 transactions of a server, an id cannot be that much older.
        return distance < 0 && (ulong)-distance > reference ? xid : reference + (ulong)distance;
    }
}
