namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Is told of what the log holds and capture does not hand out, so that nothing is left out silently.</summary>
internal interface ICaptureObserver
{
    /// <summary>A logical message of a prefix that is not captured.</summary>
    void MessageIgnored();

    /// <summary>A change of a table that the publication carries and the configuration does not select.</summary>
    void ChangeNotSelected();
}
