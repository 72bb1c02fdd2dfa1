using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway.Cluster;

/// <summary>A source's status as read from the cluster, or why it could not be read.</summary>
internal sealed record SourceStatusResult(SourceConfiguration Source, SourceStatus? Status, ClusterTroubleException? Trouble)
{
    /// <summary>Whether changes flow, or wait only for what they go to.</summary>
    public bool IsReady => Status?.State is SourceState.Streaming or SourceState.Holding;
}

/// <summary>Reads the sources' statuses.</summary>
internal sealed class SourceStatusReader(GatewaySettings settings, ClusterCalls cluster)
{
    /// <summary>Reads one source.</summary>
    public async Task<SourceStatusResult> Read(SourceConfiguration source, CancellationToken cancellation)
    {
        try
        {
            return new SourceStatusResult(source, await cluster.Status(source.Name, cancellation), null);
        }
        catch (ClusterTroubleException e)
        {
            return new SourceStatusResult(source, null, e);
        }
    }

    /// <summary>Reads all sources at once, in the order of their names.</summary>
    public Task<SourceStatusResult[]> ReadAll(CancellationToken cancellation) =>
        Task.WhenAll(settings.Sources.Select(s => Read(s, cancellation)));

    /// <summary>Reads all sources.</summary>
    /// <exception cref="ClusterTroubleException">Not one could be read.</exception>
    public async Task<SourceStatusResult[]> ReadAny(CancellationToken cancellation)
    {
        var results = await ReadAll(cancellation);
        return results is [{ Trouble: { } trouble }, ..] && results.All(r => r.Status is null)
            ? throw new ClusterTroubleException(trouble.Trouble, trouble.Message, trouble.InnerException)
            : results;
    }
}
