using CdcOrleans.Grains.Entities;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>Each transition of an entity starts from the phases that it may start from, and from no other.</summary>
public sealed class EntityLifecycleTests
{
    private static readonly Dictionary<string, (Transition Make, EntityPhase[] From, EntityPhase To)> Transitions = new()
    {
        [nameof(EntityLifecycle.Pass)] = ((ref l) => l.Pass(), [EntityPhase.Asleep], EntityPhase.Passing),
        [nameof(EntityLifecycle.Passed)] = ((ref l) => l.Passed(), [EntityPhase.Passing], EntityPhase.Asleep),
        [nameof(EntityLifecycle.Wake)] = ((ref l) => l.Wake(), [EntityPhase.Asleep], EntityPhase.Waking),
        [nameof(EntityLifecycle.WakeFailed)] = ((ref l) => l.WakeFailed(), [EntityPhase.Waking], EntityPhase.Asleep),
        [nameof(EntityLifecycle.Woken)] = ((ref l) => l.Woken(), [EntityPhase.Waking, EntityPhase.Asleep], EntityPhase.Awake),
        [nameof(EntityLifecycle.Give)] = ((ref l) => l.Give(), [EntityPhase.Awake, EntityPhase.Applying], EntityPhase.Applying),
        [nameof(EntityLifecycle.Answered)] = ((ref l) => l.Answered(), [EntityPhase.Applying], EntityPhase.Awake),
        [nameof(EntityLifecycle.Leave)] = ((ref l) => l.Leave(), [EntityPhase.Awake, EntityPhase.Applying], EntityPhase.Leaving),
        [nameof(EntityLifecycle.Left)] = ((ref l) => l.Left(), [EntityPhase.Leaving], EntityPhase.Asleep),
    };

    private delegate void Transition(ref EntityLifecycle lifecycle);

    public static TheoryData<string> Names => [.. Transitions.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_transition_starts_from_its_phases_alone(string name)
    {
        var (make, from, to) = Transitions[name];
        foreach (var phase in Enum.GetValues<EntityPhase>())
        {
            var lifecycle = In(phase);
            if (from.Contains(phase))
            {
                make(ref lifecycle);
                Assert.Equal(to, lifecycle.Phase);
            }
            else
            {
                var refused = Assert.Throws<InvalidOperationException>(() => make(ref lifecycle));
                Assert.Contains($"'{name}'", refused.Message, StringComparison.Ordinal);
                Assert.Contains($"'{phase}'", refused.Message, StringComparison.Ordinal);
                Assert.Equal(phase, lifecycle.Phase);
            }
        }
    }

    [Fact]
    public void There_is_no_other_transition() =>
        Assert.Equal(
            Transitions.Keys.Order(),
            typeof(EntityLifecycle).GetMethods().Where(m => m.DeclaringType == typeof(EntityLifecycle) && m.ReturnType == typeof(void) && !m.IsSpecialName).Select(m => m.Name).Order());

    private static EntityLifecycle In(EntityPhase phase)
    {
        var lifecycle = new EntityLifecycle();
        switch (phase)
        {
            case EntityPhase.Passing:
                lifecycle.Pass();
                break;
            case EntityPhase.Waking:
                lifecycle.Wake();
                break;
            case EntityPhase.Awake:
                lifecycle.Woken();
                break;
            case EntityPhase.Applying:
                lifecycle.Woken();
                lifecycle.Give();
                break;
            case EntityPhase.Leaving:
                lifecycle.Woken();
                lifecycle.Leave();
                break;
        }

        Assert.Equal(phase, lifecycle.Phase);
        return lifecycle;
    }
}
