namespace CdcOrleans.Grains.Entities;

/// <summary>Where an entity stands, as its partition knows it.</summary>
internal enum EntityPhase : byte
{
    /// <summary>It has no activation. What is known of it is in the store or in the checkpoint buffer.</summary>
    Asleep,

    /// <summary>It has no activation, and a lone change of it is being applied in passing.</summary>
    Passing,

    /// <summary>Its activation was asked for. Changes wait for it.</summary>
    Waking,

    /// <summary>Its activation is there and has nothing to do.</summary>
    Awake,

    /// <summary>Its activation has changes that it has not answered for.</summary>
    Applying,

    /// <summary>Its activation ends. Changes wait until it has gone.</summary>
    Leaving,
}

/// <summary>
/// The phases of an entity and the transitions between them. Each transition has a name and the phases that it may start from; any
/// other start is a defect of ours, and throws. Only the entity's partition makes transitions, on its own scheduler.
/// </summary>
internal struct EntityLifecycle
{
    /// <summary>The phase.</summary>
    public EntityPhase Phase { get; private set; }

    /// <summary>A lone change begins to be applied in passing.</summary>
    public void Pass() => Go(nameof(Pass), EntityPhase.Asleep, EntityPhase.Asleep, EntityPhase.Passing);

    /// <summary>The lone change is applied, or an activation is needed for it after all.</summary>
    public void Passed() => Go(nameof(Passed), EntityPhase.Passing, EntityPhase.Passing, EntityPhase.Asleep);

    /// <summary>An activation is asked for.</summary>
    public void Wake() => Go(nameof(Wake), EntityPhase.Asleep, EntityPhase.Asleep, EntityPhase.Waking);

    /// <summary>The activation could not be had.</summary>
    public void WakeFailed() => Go(nameof(WakeFailed), EntityPhase.Waking, EntityPhase.Waking, EntityPhase.Asleep);

    /// <summary>The activation is there: it was asked for, or a call to the entity made it.</summary>
    public void Woken() => Go(nameof(Woken), EntityPhase.Waking, EntityPhase.Asleep, EntityPhase.Awake);

    /// <summary>The activation is given changes.</summary>
    public void Give() => Go(nameof(Give), EntityPhase.Awake, EntityPhase.Applying, EntityPhase.Applying);

    /// <summary>The activation has answered for all changes that it was given.</summary>
    public void Answered() => Go(nameof(Answered), EntityPhase.Applying, EntityPhase.Applying, EntityPhase.Awake);

    /// <summary>The activation is to end, or Orleans ends it.</summary>
    public void Leave() => Go(nameof(Leave), EntityPhase.Awake, EntityPhase.Applying, EntityPhase.Leaving);

    /// <summary>The activation has ended, and nothing that it was given is open any more.</summary>
    public void Left() => Go(nameof(Left), EntityPhase.Leaving, EntityPhase.Leaving, EntityPhase.Asleep);

    private void Go(string transition, EntityPhase from, EntityPhase orFrom, EntityPhase to)
    {
        if (Phase != from && Phase != orFrom)
            throw new InvalidOperationException($"The transition '{transition}' does not start from the phase '{Phase}'.");
        Phase = to;
    }
}
