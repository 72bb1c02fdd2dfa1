namespace CdcOrleans.Gateway.Cluster;

/// <summary>Why the cluster did not answer.</summary>
internal enum ClusterTrouble
{
    /// <summary>No silo can be reached.</summary>
    Unreachable,

    /// <summary>A silo was asked and did not answer in time.</summary>
    TimedOut,

    /// <summary>It answered with an error.</summary>
    Failed,
}

/// <summary>A question to the cluster that got no answer. The message holds no row data and is fit for people.</summary>
internal sealed class ClusterTroubleException(ClusterTrouble trouble, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The kind of trouble.</summary>
    public ClusterTrouble Trouble { get; } = trouble;
}
