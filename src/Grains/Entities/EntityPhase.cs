namespace CdcOrleans.Grains.Entities;

/// <summary>The phase of an entity, as its partition knows it.</summary>
internal enum EntityPhase : byte
{
    /// <summary>It has no activation. Its state is only in the store or in the checkpoint buffer.</summary>
    Asleep,

    /// <summary>It has no activation, and a single change of it is being applied in passing.</summary>
    Passing,

    /// <summary>Its activation was requested. Changes wait for it.</summary>
    Waking,

    /// <summary>It has an activation, which has no work.</summary>
    Awake,

    /// <summary>Its activation has changes that are not finished.</summary>
    Applying,

    /// <summary>Its activation is ending. Changes wait until it has ended.</summary>
    Leaving,
}

/// <summary>
/// The phases of an entity and the transitions between them. Each transition has a name and the phases from which it may start. From any
/// other phase it throws <see cref="InvalidOperationException"/>, because that is a defect of this product. Only the entity's partition
/// makes transitions, on its own scheduler.
/// </summary>
internal struct EntityLifecycle
{
    /// <summary>The phase.</summary>
    public EntityPhase Phase { get; private set; }

    /// <summary>The partition begins to apply a single change in passing.</summary>
    public void Pass() => Go(nameof(Pass), EntityPhase.Asleep, EntityPhase.Asleep, EntityPhase.Passing);

    /// <summary>The single change was applied, or it turned out to need an activation.</summary>
    public void Passed() => Go(nameof(Passed), EntityPhase.Passing, EntityPhase.Passing, EntityPhase.Asleep);

    /// <summary>The partition requests an activation.</summary>
    public void Wake() => Go(nameof(Wake), EntityPhase.Asleep, EntityPhase.Asleep, EntityPhase.Waking);

    /// <summary>The entity could not be activated.</summary>
    public void WakeFailed() => Go(nameof(WakeFailed), EntityPhase.Waking, EntityPhase.Waking, EntityPhase.Asleep);

    /// <summary>The entity has an activation: the partition requested it, or a call to the entity created it.</summary>
    public void Woken() => Go(nameof(Woken), EntityPhase.Waking, EntityPhase.Asleep, EntityPhase.Awake);

    /// <summary>The partition gives changes to the activation.</summary>
    public void Give() => Go(nameof(Give), EntityPhase.Awake, EntityPhase.Applying, EntityPhase.Applying);

    /// <summary>The activation has finished all changes that it was given.</summary>
    public void Answered() => Go(nameof(Answered), EntityPhase.Applying, EntityPhase.Applying, EntityPhase.Awake);

    /// <summary>The partition asks the activation to end, or Orleans ends it.</summary>
    public void Leave() => Go(nameof(Leave), EntityPhase.Awake, EntityPhase.Applying, EntityPhase.Leaving);

    /// <summary>The activation has ended, and all changes that it was given are finished or were returned.</summary>
    public void Left() => Go(nameof(Left), EntityPhase.Leaving, EntityPhase.Leaving, EntityPhase.Asleep);

    private void Go(string transition, EntityPhase from, EntityPhase orFrom, EntityPhase to)
    {
        if (Phase != from && Phase != orFrom)
            throw new InvalidOperationException($"The transition '{transition}' does not start from the phase '{Phase}'.");
        Phase = to;
    }
}
