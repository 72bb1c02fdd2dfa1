using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Gateway.Cluster;

/// <summary>The status of a source, or why it could not be read.</summary>
internal sealed record SourceStatusResult(SourceConfiguration Source, SourceStatus? Status, ClusterTroubleException? Trouble)
{
    /// <summary>Whether the source is streaming, or holding because its window is full.</summary>
    public bool IsReady => Status?.State is SourceState.Streaming or SourceState.Holding;
}

/// <summary>Reads the status of sources from the cluster.</summary>
internal sealed class SourceStatusReader(GatewaySettings settings, ClusterCalls cluster)
{
    /// <summary>Reads the status of one source.</summary>
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

    /// <summary>Reads the status of all sources concurrently, in the order of their names.</summary>
    public Task<SourceStatusResult[]> ReadAll(CancellationToken cancellation) =>
        Task.WhenAll(settings.Sources.Select(s => Read(s, cancellation)));

    /// <summary>Reads the status of all sources.</summary>
    /// <exception cref="ClusterTroubleException">No status could be read.</exception>
    public async Task<SourceStatusResult[]> ReadAny(CancellationToken cancellation)
    {
        var results = await ReadAll(cancellation);
        return results is [{ Trouble: { } trouble }, ..] && results.All(r => r.Status is null)
            ? throw new ClusterTroubleException(trouble.Trouble, trouble.Message, trouble.InnerException)
            : results;
    }
}
