namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Counts what the log has and capture does not return, so that nothing is left out silently.</summary>
internal interface ICaptureObserver
{
    /// <summary>A logical message of a prefix that is not captured.</summary>
    void MessageIgnored();

    /// <summary>A change of a table that the publication has and the configuration does not select.</summary>
    void ChangeNotSelected();
}
