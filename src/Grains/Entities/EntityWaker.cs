using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>Asks for the activations of entities.</summary>
internal interface IEntityWaker
{
    /// <summary>
    /// Asks for the activation of an entity. It reports itself to the host (<see cref="IEntityHost.OnWoken"/>) when it is there.
    /// </summary>
    /// <param name="host">The entity's partition.</param>
    /// <param name="presence">The entity.</param>
    /// <param name="failed">Called from any thread when it could not be had.</param>
    void Wake(IEntityHost host, EntityPresence presence, Action<EntityPresence> failed);
}

/// <summary>Wakes an entity by a call to its grain: the one message that an activation costs.</summary>
internal sealed class GrainEntityWaker(IGrainFactory grains) : IEntityWaker
{
    /// <inheritdoc />
    public void Wake(IEntityHost host, EntityPresence presence, Action<EntityPresence> failed) => _ = Ask(host, presence, failed);

    private async Task Ask(IEntityHost host, EntityPresence presence, Action<EntityPresence> failed)
    {
        var isWoken = false;
        try
        {
            isWoken = await grains.GetGrain<IEntityGrain>(new EntityId(host.Source.Name, presence.Key).ToString()).Wake(host.Generation).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whatever it was, the partition asks again.
        catch (Exception)
#pragma warning restore CA1031
        {
            // The silo stops, or the membership changes.
        }

        if (!isWoken)
            failed(presence);
    }
}
