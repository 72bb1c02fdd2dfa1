using System.Reflection;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Entities;
using Orleans.Serialization.Invocation;

namespace CdcOrleans.Testing.Pipeline;

/// <summary>
/// Activations of entity grains without a silo: real <see cref="EntityGrain"/> objects, each on a context whose work items run among
/// the rig's turns.
/// </summary>
internal sealed class TestActivations(Action<Action<object>, object> schedule) : IEntityWaker
{
    private readonly Dictionary<EntityKey, TestContext> _activations = [];
    private int _waking;

    public EntityHosts Hosts { get; } = new();

    /// <summary>How many wakes fail from now on.</summary>
    public int Failing { get; set; }

    /// <summary>Activations that are there.</summary>
    public int Count => _activations.Count;

    /// <summary>Activations made so far.</summary>
    public int Made { get; private set; }

    /// <summary>Most activations that were requested and not there yet, at any time.</summary>
    public int MostWaking { get; private set; }

    public void Wake(IEntityHost host, EntityPresence presence, Action<EntityPresence> failed)
    {
        if (Failing > 0)
        {
            Failing--;
            failed(presence);
            return;
        }

        MostWaking = Math.Max(MostWaking, ++_waking);

        // As a call to the grain: it reaches the activation that is there, or makes one.
        schedule(_ => Call(presence.Key, grain =>
        {
            _waking--;
            if (!grain.Wake(host.Generation).AsTask().GetAwaiter().GetResult())
                failed(presence);
        }), this);
    }

    /// <summary>The activation of an entity, made if there is none: as a call to the grain finds it.</summary>
    public EntityGrain Find(EntityKey key)
    {
        EntityGrain? found = null;
        Call(key, grain => found = grain);
        return found!;
    }

    /// <summary>Orleans drops the activation of an entity, if there is one.</summary>
    public void Drop(EntityKey key)
    {
        if (_activations.TryGetValue(key, out var context))
            context.Deactivate(new DeactivationReason(DeactivationReasonCode.HighMemoryPressure, "test"));
    }

    private void Call(EntityKey key, Action<EntityGrain> call)
    {
        if (_activations.TryGetValue(key, out var context))
        {
            if (context.IsLeaving)
            {
                // Orleans keeps the message until the activation has gone, and makes another one for it.
                schedule(_ => Call(key, call), this);
                return;
            }

            call(context.Grain);
            return;
        }

        Made++;
        context = new TestContext(new EntityId("shop", key), schedule, () => _activations.Remove(key));
        context.Grain = new EntityGrain(context, _ => 1, Hosts, NoGrains.Instance);
        _activations.Add(key, context);
        context.Grain.OnActivateAsync(CancellationToken.None);
        call(context.Grain);
    }

    private sealed class TestContext(EntityId id, Action<Action<object>, object> schedule, Action gone) : IGrainContext, IWorkItemScheduler
    {
        public EntityGrain Grain { get; set; } = null!;

        public bool IsLeaving { get; private set; }

        public GrainReference GrainReference => throw new NotSupportedException();

        public GrainId GrainId { get; } = GrainId.Create("entity", id.ToString());

        public object? GrainInstance => Grain;

        public ActivationId ActivationId => throw new NotSupportedException();

        public GrainAddress Address => throw new NotSupportedException();

        public IServiceProvider ActivationServices => throw new NotSupportedException();

        public IGrainLifecycle ObservableLifecycle => throw new NotSupportedException();

        public IWorkItemScheduler Scheduler => this;

        public Task Deactivated => throw new NotSupportedException();

        public void QueueAction(Action action) => schedule(static a => ((Action)a)(), action);

        public void QueueAction(Action<object> action, object state) => schedule(action, state);

        public void QueueTask(Task task) => throw new NotSupportedException();

        public void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default)
        {
            if (IsLeaving)
                return;
            IsLeaving = true;
            schedule(_ =>
            {
                Grain.OnDeactivateAsync(deactivationReason, CancellationToken.None);
                gone();
            }, this);
        }

        public bool Equals(IGrainContext? other) => ReferenceEquals(this, other);

        public TComponent? GetComponent<TComponent>()
            where TComponent : class => Grain as TComponent;

        object? ITargetHolder.GetComponent(Type componentType) => null;

        public TTarget GetTarget<TTarget>()
            where TTarget : class => throw new NotSupportedException();

        public object? GetTarget() => Grain;

        public void SetComponent<TComponent>(TComponent? value)
            where TComponent : class
        {
        }

        public void ReceiveMessage(object message) => throw new NotSupportedException();

        public void Activate(Dictionary<string, object>? requestContext, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public void Rehydrate(IRehydrationContext context) => throw new NotSupportedException();

        public void Migrate(Dictionary<string, object>? requestContext, CancellationToken cancellationToken = default) => throw new NotSupportedException();
    }

    /// <summary>No entity of a rig needs another grain: its partition is always there.</summary>
    public class NoGrains : DispatchProxy
    {
        internal static readonly IGrainFactory Instance = Create<IGrainFactory, NoGrains>();

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            throw new NotSupportedException($"Nobody calls {targetMethod?.Name} here; {nameof(IPartitionGrain)} is in the rig.");
    }
}
