using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Gateway.Cluster;

/// <summary>
/// The gateway's requests to the cluster. They have a time limit, and they fail only with <see cref="ClusterTroubleException"/>.
/// </summary>
internal sealed class ClusterCalls(IGrainFactory grains, GatewaySettings settings, TimeProvider time)
{
    /// <summary>Returns the status of a source.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer.</exception>
    public Task<SourceStatus> Status(string source, CancellationToken cancellation) =>
        Ask($"the status of source '{source}'", () => grains.GetGrain<IWalReaderGrain>(source), grain => grain.GetStatus(), cancellation);

    /// <summary>Returns the state of an entity; null when nothing is known of it.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer.</exception>
    public Task<EntityView?> Entity(EntityId entity, CancellationToken cancellation) =>
        Ask($"an entity of {entity.Source}.{entity.Key.Table}", () => grains.GetGrain<IEntityGrain>(entity.ToString()), grain => grain.GetState(), cancellation);

    private async Task<T> Ask<TGrain, T>(string what, Func<TGrain> find, Func<TGrain, ValueTask<T>> call, CancellationToken cancellation)
    {
        TGrain grain;
        try
        {
            grain = find();
        }
        catch (Exception e)
        {
            // The client learns from the first silo which grain types exist. Before that, it knows none.
            throw Unreachable(e);
        }

        try
        {
            return await call(grain).AsTask().WaitAsync(settings.CallTimeout, time, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            throw;
        }
        catch (TimeoutException e)
        {
            throw new ClusterTroubleException(
                ClusterTrouble.TimedOut,
                $"The cluster '{settings.ClusterId}' did not answer for {what} within {settings.CallTimeout.TotalSeconds:0.#} s. "
                + "It may be starting, moving work between silos or out of CPU; ask again, and look at the silos' logs if it stays.",
                e);
        }
        catch (EntityUnavailableException e)
        {
            throw new ClusterTroubleException(ClusterTrouble.Busy, e.Message, e);
        }
        catch (Exception e) when (e is OrleansException or ObjectDisposedException)
        {
            throw Unreachable(e); // No silo accepts messages any more, or this process stops.
        }
        catch (Exception e)
        {
            // The message of another library's exception may contain the key. Its type does not.
            throw new ClusterTroubleException(
                ClusterTrouble.Failed, $"The cluster answered with {e.GetType().Name} when asked for {what}; the log of the silo holds the cause.", e);
        }
    }

    private ClusterTroubleException Unreachable(Exception cause) => new(
        ClusterTrouble.Unreachable,
        $"The cluster '{settings.ClusterId}' cannot be reached. Start a silo with the same cluster.id and control.connection, "
        + "and check that this process can reach the control database and the silos' addresses.",
        cause);
}
