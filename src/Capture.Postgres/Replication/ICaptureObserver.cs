namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Is told of what the log holds and capture does not hand out, so that nothing is left out silently.</summary>
internal interface ICaptureObserver
{
    /// <summary>A logical message that is not ours.</summary>
    void MessageIgnored();

    /// <summary>A change of a table that the publication carries and the configuration does not select.</summary>
    void ChangeNotSelected();

    /// <summary>A truncation of a captured table.</summary>
    /// <param name="table"><c>schema.table</c>.</param>
    /// <param name="first">Whether it is the first of this table since the stream started.</param>
    void TruncateIgnored(string table, bool first);
}
