namespace CdcOrleans.Gateway.Cluster;

/// <summary>Why the cluster did not answer.</summary>
internal enum ClusterTrouble
{
    /// <summary>No silo can be reached.</summary>
    Unreachable,

    /// <summary>A silo was asked, but did not answer in time.</summary>
    TimedOut,

    /// <summary>A silo cannot read the control database for questions now.</summary>
    Busy,

    /// <summary>A silo answered with an error.</summary>
    Failed,
}

/// <summary>The cluster did not answer a request. The message has no row data and is meant for people.</summary>
internal sealed class ClusterTroubleException(ClusterTrouble trouble, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The kind of trouble.</summary>
    public ClusterTrouble Trouble { get; } = trouble;
}
