using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway.Cluster;

/// <summary>A source's status as read from the cluster, or why it could not be read.</summary>
internal sealed record SourceReading(SourceConfiguration Source, SourceStatus? Status, ClusterTroubleException? Trouble)
{
    /// <summary>Whether changes flow, or wait only for what they go to.</summary>
    public bool IsReady => Status?.State is SourceState.Streaming or SourceState.Holding;
}

/// <summary>Reads the sources' statuses.</summary>
internal sealed class SourceReadings(GatewaySettings settings, ClusterCalls cluster)
{
    /// <summary>Reads one source.</summary>
    public async Task<SourceReading> Read(SourceConfiguration source, CancellationToken cancellation)
    {
        try
        {
            return new SourceReading(source, await cluster.Status(source.Name, cancellation), null);
        }
        catch (ClusterTroubleException e)
        {
            return new SourceReading(source, null, e);
        }
    }

    /// <summary>Reads all sources at once, in the order of their names.</summary>
    public Task<SourceReading[]> ReadAll(CancellationToken cancellation) =>
        Task.WhenAll(settings.Sources.Select(s => Read(s, cancellation)));

    /// <summary>Reads all sources.</summary>
    /// <exception cref="ClusterTroubleException">Not one could be read.</exception>
    public async Task<SourceReading[]> ReadAny(CancellationToken cancellation)
    {
        var readings = await ReadAll(cancellation);
        return readings is [{ Trouble: { } trouble }, ..] && readings.All(r => r.Status is null)
            ? throw new ClusterTroubleException(trouble.Trouble, trouble.Message, trouble.InnerException)
            : readings;
    }
}
