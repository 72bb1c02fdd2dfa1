using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Replays;
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

    /// <summary>Asks about dead letters and parked events.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer.</exception>
    public Task<T> Operations<T>(string what, Func<IOperationsGrain, Task<T>> call, CancellationToken cancellation) =>
        Ask(what, () => grains.GetGrain<IOperationsGrain>(IOperationsGrain.Key), grain => new ValueTask<T>(call(grain)), cancellation);

    /// <summary>Asks about journals.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer.</exception>
    public Task<T> Journals<T>(string what, Func<IJournalGrain, Task<T>> call, CancellationToken cancellation) =>
        Ask(what, () => grains.GetGrain<IJournalGrain>(IJournalGrain.Key), grain => new ValueTask<T>(call(grain)), cancellation);

    /// <summary>Decides about dead letters and parked events.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer; part of the decision may be carried out.</exception>
    public Task<T> Decide<T>(string what, Func<IOperationsGrain, Task<T>> call, CancellationToken cancellation) => Ask(
        what, () => grains.GetGrain<IOperationsGrain>(IOperationsGrain.Key), grain => new ValueTask<T>(call(grain)), cancellation, settings.DecisionTimeout);

    /// <summary>Asks about replays, or decides about them.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer; a decision may be carried out.</exception>
    public Task<T> Replays<T>(string what, Func<IReplaysGrain, Task<T>> call, CancellationToken cancellation, bool isDecision = false) => Ask(
        what, () => grains.GetGrain<IReplaysGrain>(IReplaysGrain.Key), grain => new ValueTask<T>(call(grain)), cancellation,
        isDecision ? settings.DecisionTimeout : null);

    /// <summary>Asks about backfills, or decides about them.</summary>
    /// <exception cref="ClusterTroubleException">The cluster did not answer; a decision may be carried out.</exception>
    public Task<T> Backfills<T>(string what, Func<IBackfillsGrain, Task<T>> call, CancellationToken cancellation, bool isDecision = false) => Ask(
        what, () => grains.GetGrain<IBackfillsGrain>(IBackfillsGrain.Key), grain => new ValueTask<T>(call(grain)), cancellation,
        isDecision ? settings.DecisionTimeout : null);

    private async Task<T> Ask<TGrain, T>(
        string what, Func<TGrain> find, Func<TGrain, ValueTask<T>> call, CancellationToken cancellation, TimeSpan? timeout = null)
    {
        var patience = timeout ?? settings.CallTimeout;
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
            return await call(grain).AsTask().WaitAsync(patience, time, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            throw;
        }
        catch (TimeoutException e)
        {
            throw new ClusterTroubleException(
                ClusterTrouble.TimedOut,
                $"The cluster '{settings.ClusterId}' did not answer for {what} within {patience.TotalSeconds:0.#} s. "
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
